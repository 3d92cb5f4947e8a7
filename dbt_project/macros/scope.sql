{#- Which rows a build has to compute, publish and test: see docs/architecture.md. -#}

{% macro node_of(model_name) -%}
    {{ return(graph.nodes["model.dora_metrics." ~ model_name]) }}
{%- endmacro %}

{#- A boolean column of int_build_scoped, which every build creates first. -#}
{% macro scope_says(column) -%}
    {%- set scope = node_of("int_build_scoped").relation_name -%}
    {{ return(run_query("select " ~ column ~ " from " ~ scope).columns[0].values()[0]) }}
{%- endmacro %}

{#- Overrides dbt's macro: an incremental model is also fully refreshed if the rules or
    the memberships have changed, as its `meta.recomputed_if` says. -#}
{% macro should_full_refresh() -%}
    {%- set configured = config.get("full_refresh") -%}
    {%- set condition = (config.get("meta") or {}).get("recomputed_if") -%}
    {%- if configured is not none -%}
        {{ return(configured) }}
    {%- elif flags.FULL_REFRESH or not condition or not execute -%}
        {{ return(flags.FULL_REFRESH) }}
    {%- endif -%}
    {{ return(scope_says(condition)) }}
{%- endmacro %}

{#- Whether everything has to be computed: with --full-refresh, or if an incremental
    table is missing. -#}
{% macro is_full_refresh() -%}
    {%- set missing = [] -%}
    {%- for node in graph.get("nodes", {}).values()
        if node.resource_type == "model" and node.config.meta.get("recomputed_if")
        and not adapter.get_relation(node.database, node.schema, node.name) -%}
        {%- do missing.append(node.name) -%}
    {%- endfor -%}
    {{ return(flags.FULL_REFRESH or missing | length > 0) }}
{%- endmacro %}

{#- Forget the published hashes of everything that this build recomputes. If it fails and the
    change is reverted, the next build recomputes it again. -#}
{% macro forget_published_hashes() -%}
    update {{ ref('int_builds_published') }} as published
    set
        rules_hash = case when not scope.has_new_rules then published.rules_hash end,
        memberships_hash = case
            when not scope.has_new_memberships then published.memberships_hash
        end
    from {{ this }} as scope
    where scope.has_new_memberships
{%- endmacro %}

{% macro forget_published_deliveries() -%}
    update {{ ref('int_builds_published') }}
    set delivery_hashes = delivery_hashes - array(
        select compared.repository_id
        from {{ this }} as compared
        where compared.is_due
    )
{%- endmacro %}

{#- A new table built only from changed pull requests would lack all others. -#}
{% macro expect_all_pull_requests() -%}
    {%- if execute and not is_incremental() and not scope_says("has_new_rules") -%}
        {{ exceptions.raise_compiler_error(
            this ~ " is recreated and needs all pull requests: add --full-refresh"
            ~ " --select +" ~ this.identifier
        ) }}
    {%- endif -%}
{%- endmacro %}

{#- Whether a row belongs to a pull request in int_deliveries_due, or to a deployment that
    contains or contained one. -#}
{% macro is_due(column) -%}
    {%- set due = node_of("int_deliveries_due").relation_name -%}
    {%- if column.endswith("deployment_id") -%}
        {%- set changes = node_of("int_deployment_changes").relation_name -%}
        {{ column }} = any(array({{ due_deployments(changes, due) }}))
    {%- else -%}
        {{ is_changed(column, due) }}
    {%- endif -%}
{%- endmacro %}

{% macro due_deployments(changes, due) -%}
    select changes.deployment_id
    from {{ changes }} as changes
    inner join {{ due }} as due on changes.pull_request_id = due.pull_request_id
{%- endmacro %}

{#- Whether this run of an incremental model computes a pull request: in a full refresh
    all, otherwise those in int_deliveries_due, which dbt then builds first. -#}
{% macro is_recomputed() -%}
    {%- set due = ref("int_deliveries_due") -%}
    {%- if is_incremental() -%}
        pull_request_id in (select due.pull_request_id from {{ due }} as due)
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#- Runs before rows are appended to an incremental table. -#}
{% macro delete_due_rows(column="pull_request_id") -%}
    {%- if is_incremental() -%} delete from {{ this }} where {{ is_due(column) }} {%- endif -%}
{%- endmacro %}

{#- Runs before rows are appended to an incremental table of all pull requests. -#}
{% macro delete_changed_rows() -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where {{ is_changed("pull_request_id") }}
    {%- endif -%}
{%- endmacro %}

{#- Also deletes repositories that no longer exist. -#}
{% macro delete_due_repositories() -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where repository_id not in (
            select compared.repository_id
            from {{ node_of("int_deliveries_compared").relation_name }} as compared
            where not compared.is_due
        )
    {%- endif -%}
{%- endmacro %}

{#- A new table has no statistics, so Postgres would plan badly. Autovacuum updates those of
    an incremental table. -#}
{% macro analyze_new_table() -%}
    {%- if config.get("materialized") in ("table", "incremental") and not is_incremental() -%}
        analyze {{ this }}
    {%- endif -%}
{%- endmacro %}

{#- A hash of the models' code and of the SQL that its macros render to, without
    comments and layout. If it changes, every row is recomputed. -#}
{% macro hash_of_the_code() -%}
    {%- set code = [
        attributed_at("merged_at"),
        attributed_at("created_at"),
        contains("x", "y"),
        hours("x"),
        as_hours("x"),
        average_hours("x"),
        microseconds("x"),
        is_automation("x"),
        like_pattern("x"),
        login_key("x"),
        lower_ascii("x"),
        matches("x", "y"),
        period_of("x", "week", "UTC"),
        person_id("x", "y"),
        reaches("x", "y"),
        failure_window_days(),
    ] -%}
    {%- for node in graph.get("nodes", {}).values() | sort(attribute="unique_id") -%}
        {%- if node.resource_type == "model" and node.package_name == project_name -%}
            {%- do code.append(node.raw_code) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set comments = "(?s)[{]#.*?#[}]|--[^\n]*" -%}
    {%- set bare = modules.re.sub(comments, "", code | join(" ")) -%}
    {{ return(local_md5(bare.split() | join(" "))) }}
{%- endmacro %}

{#- With an array, Postgres uses an index for its elements, even through a view that
    groups or joins. It would join a subquery with all rows. -#}
{% macro is_changed(column, relation=none) -%}
    {{ column }} = any(
        array(
            select changed.pull_request_id
            from {{ relation or node_of("int_pull_requests_changed").relation_name }}
                as changed
        )
    )
{%- endmacro %}

{#- A data test reads the changed pull requests of a model. It reads all pull requests
    if the rules, the memberships or the repositories have changed, if many pull
    requests have changed, once in 24 hours, and in `dbt test`. -#}
{% macro is_whole_audit(changed="int_pull_requests_changed") -%}
    {{ return(
        not execute
        or flags.WHICH != "build"
        or scope_says("is_audited_whole or " ~ has_many_rows(changed))
    ) }}
{%- endmacro %}

{#- Postgres assumes that an array has few elements. With many, a full read is
    faster. -#}
{% macro has_many_rows(model_name) -%}
    (select count(*) > 20000 from {{ node_of(model_name).relation_name }})
{%- endmacro %}

{% macro audited(relation) -%}
    {#- Makes the test depend on the model. -#}
    {%- do ref("int_pull_requests_changed") -%}
    (
        select * from {{ relation }}
        {%- if not is_whole_audit() %}
        where {{ is_changed("pull_request_id") }}
        {%- endif %}
    )
{%- endmacro %}

{#- Overrides dbt's macro to replace placeholders, as dbt's documentation describes. A
    test with __changed__ in its `where` reads only changed pull requests, unless
    everything is audited; __due__ and __due_deployments__ do the same for
    deliveries. -#}
{% macro get_where_subquery(relation) -%}
    {%- set where = config.get("where") or "true" -%}
    {%- if "__changed__" in where -%}
        {%- set where = where | replace(
            "__changed__", "true" if is_whole_audit() else is_changed("pull_request_id")
        ) -%}
    {%- elif "__due" in where -%}
        {%- set column = "deployment_id" if "__due_d" in where else "pull_request_id" -%}
        {%- set condition = "true" if is_whole_audit("int_deliveries_due") else is_due(column) -%}
        {%- set where = where
            | replace("__due_deployments__", condition) | replace("__due__", condition) -%}
    {%- endif -%}
    (select * from {{ relation }} where {{ where }}) as tested
{%- endmacro %}
