{#- What a build has to compute, publish and test: docs/incremental.md. -#}

{% macro node_of(model_name) -%}
    {{ return(graph.nodes["model.dora_metrics." ~ model_name]) }}
{%- endmacro %}

{#- A boolean column of int_build_scoped, which every build makes first. -#}
{% macro scope_says(column) -%}
    {%- set scope = node_of("int_build_scoped").relation_name -%}
    {{ return(run_query("select " ~ column ~ " from " ~ scope).columns[0].values()[0]) }}
{%- endmacro %}

{#- Overrides dbt's macro: an incremental model is also computed whole if the rules or the
    memberships have changed, as its `meta` says. -#}
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

{#- Whether everything is to be computed: with --full-refresh, or if an incremental table is
    missing. -#}
{% macro is_full_refresh() -%}
    {%- set missing = [] -%}
    {%- for node in graph.get("nodes", {}).values()
        if node.resource_type == "model" and node.config.meta.get("recomputed_if")
        and not adapter.get_relation(node.database, node.schema, node.name) -%}
        {%- do missing.append(node.name) -%}
    {%- endfor -%}
    {{ return(flags.FULL_REFRESH or missing | length > 0) }}
{%- endmacro %}

{#- A table made from changed pull requests alone would lack the others. -#}
{% macro expect_all_pull_requests() -%}
    {%- if execute and not is_incremental() and not scope_says("has_new_rules") -%}
        {{ exceptions.raise_compiler_error(
            this ~ " is made anew, which takes all pull requests: add --full-refresh"
            ~ " --select +" ~ this.identifier
        ) }}
    {%- endif -%}
{%- endmacro %}

{% macro analyze_if_whole() -%}
    {%- if not is_incremental() -%} analyze {{ this }} {%- endif -%}
{%- endmacro %}

{#- A hash of the models' code and of the SQL that the macros in it render to, without
    comments and layout: another rule counts as a change of every row. -#}
{% macro hash_of_the_code() -%}
    {%- set code = [
        attributed_at("merged_at"),
        attributed_at("created_at"),
        contains("x", "y"),
        hours("x"),
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

{#- A data test reads the changed pull requests of a model; all of them if the rules, the
    memberships or the repositories have changed, once in 24 hours, and in `dbt test`. -#}
{% macro is_whole_audit() -%}
    {{ return(
        not execute or flags.WHICH != "build" or scope_says("is_audited_whole")
    ) }}
{%- endmacro %}

{% macro audited(relation) -%}
    {#- So that the test waits for the model. -#}
    {%- do ref("int_pull_requests_changed") -%}
    (
        select * from {{ relation }}
        {%- if not is_whole_audit() %}
        where {{ is_changed("pull_request_id") }}
        {%- endif %}
    )
{%- endmacro %}

{#- Overrides dbt's macro, as its documentation does for placeholders: a test whose `where`
    says __changed__ reads what `audited` says. -#}
{% macro get_where_subquery(relation) -%}
    {%- set where = config.get("where") or "true" -%}
    {%- if "__changed__" in where -%}
        {%- set where = where | replace(
            "__changed__", "true" if is_whole_audit() else is_changed("pull_request_id")
        ) -%}
    {%- endif -%}
    (select * from {{ relation }} where {{ where }}) as tested
{%- endmacro %}
