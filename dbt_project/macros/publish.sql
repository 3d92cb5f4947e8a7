{#- At the end of a run: if all parents of the marts were built and all their data tests
    passed, update the rows of all marts that differ, in one transaction. Otherwise
    change nothing and warn with the reason. -#}
{% macro publish(results) -%}
    {%- if execute and flags.WHICH in ("build", "run") and results -%}
        {%- set marts = published_models() -%}
        {%- set reason = reason_not_to_publish(marts, results) -%}
        {%- if not reason -%}
            {{ log("Publishing " ~ marts | length ~ " marts", info=True) }}
            {{- publish_sql(marts, results) -}}
        {%- elif not var("scratch_schema", none) -%}
            {%- do exceptions.warn("The marts are unchanged: " ~ reason) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- Marts without foreign keys come first, because the foreign keys refer to them. -#}
{% macro published_models() -%}
    {%- set first = [] -%}
    {%- set later = [] -%}
    {%- for node in graph.nodes.values() | sort(attribute="unique_id")
        if node.resource_type == "model" and node.config.materialized == "published" -%}
        {%- set keys = node.constraints | selectattr("type", "equalto", "foreign_key") -%}
        {%- do (later if keys | list else first).append(node) -%}
    {%- endfor -%}
    {{ return(first + later) }}
{%- endmacro %}

{% macro reason_not_to_publish(marts, results) -%}
    {%- set done = {} -%}
    {%- for result in results -%}
        {%- do done.update({result.node.unique_id: result.status | string}) -%}
    {%- endfor -%}
    {%- set needed = marts | map(attribute="unique_id") | list -%}
    {%- for unique_id in needed -%}
        {%- for parent in graph.nodes[unique_id].depends_on.nodes
            if parent in graph.nodes and parent not in needed -%}
            {%- do needed.append(parent) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for node in graph.nodes.values() if node.resource_type == "test" -%}
        {%- for parent in node.depends_on.nodes
            if parent in needed and node.unique_id not in needed -%}
            {%- do needed.append(node.unique_id) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- set missing = [] -%}
    {%- set failed = [] -%}
    {%- for unique_id in needed if done.get(unique_id) not in ("success", "pass", "warn") -%}
        {%- set name = graph.nodes[unique_id].name -%}
        {%- do (failed if done.get(unique_id) in ("error", "fail", "runtime error")
            else missing).append(name) -%}
    {%- endfor -%}
    {%- set names = failed or missing -%}
    {%- if names -%}
        {{ return(
            (names | sort)[:3] | join(", ")
            ~ (" and " ~ (names | length - 3) ~ " more" if names | length > 3 else "")
            ~ (" failed" if failed else " did not run")
        ) }}
    {%- endif -%}
{%- endmacro %}

{% macro publish_sql(marts, results) -%}
    {#- The compiled queries, and the constraints with resolved table names. -#}
    {%- set queries = {} -%}
    {%- set constraints = {} -%}
    {%- for result in results if result.node.resource_type == "model" -%}
        {%- do queries.update({result.node.unique_id: result.node.compiled_code}) -%}
        {%- do constraints.update({result.node.unique_id: result.node.constraints}) -%}
    {%- endfor -%}
    {%- set scope = node_of("int_build_scoped").relation_name -%}
    {%- set published = node_of("int_builds_published").relation_name -%}
    {%- set is_whole = run_query(
        "select is_published_whole or not exists (select from " ~ published ~ ") or "
        ~ has_many_rows("int_deliveries_due") ~ " from " ~ scope
    ).columns[0].values()[0] %}
    begin;
    {{ set_work_mem() }};
    -- Reading the scope locks it, so that no other build can replace it before the
    -- commit.
    do $$
    begin
        if (select build_id from {{ scope }}) <> '{{ invocation_id }}' then
            raise 'another build started after this one; run this one again when it has ended';
        end if;
    end
    $$;
    {%- for mart in marts | reverse %}
    {{ delete_gone_rows_sql(mart, queries[mart.unique_id], is_whole) }};
    {%- endfor %}
    {%- for mart in marts %}
    {{ merge_rows_sql(mart, queries[mart.unique_id], is_whole) }};
    {%- endfor %}
    {%- for mart in marts %}
    {{ add_missing_keys_sql(mart, constraints[mart.unique_id]) }}
    {%- if is_whole %}
    analyze {{ mart.relation_name }};
    {%- endif %}
    {%- endfor %}
    insert into {{ published }} (
        build_id,
        change_number,
        rules_hash,
        memberships_hash,
        repositories_hash,
        delivery_hashes,
        audited_at
    )
    select
        scope.build_id,
        scope.last_change_number,
        scope.rules_hash,
        scope.memberships_hash,
        scope.repositories_hash,
        (
            select jsonb_object_agg(repository_id, deliveries_hash)
            from {{ node_of("int_deliveries_compared").relation_name }}
        ),
        case
            when scope.is_audited_whole then scope.built_at else published.audited_at
        end
    from {{ scope }} as scope
    left join {{ published }} as published on true;
    delete from {{ published }} where build_id <> '{{ invocation_id }}';
    commit;
{%- endmacro %}

{#- The rows of a mart's query; unless `is_whole`, only those of due pull requests. -#}
{% macro rows_to_publish(mart, query, is_whole) -%}
    (
        select * from (
            {{ query }}
        ) as mart_rows
        {%- if mart.config.meta.get("changed_by") and not is_whole %}
        where {{ is_due(mart.config.meta.changed_by) }}
        {%- endif %}
    )
{%- endmacro %}

{% macro key_of(mart) -%}
    {%- for constraint in mart.constraints if constraint.type == "primary_key" -%}
        {{ return(constraint.columns) }}
    {%- endfor -%}
{%- endmacro %}

{% macro delete_gone_rows_sql(mart, query, is_whole) -%}
    delete from {{ mart.relation_name }} as old
    where
        not exists (
            select from {{ rows_to_publish(mart, query, is_whole) }} as new
            where {% for name in key_of(mart) -%}
                {{ "and " if not loop.first }}new.{{ name }} = old.{{ name }}{{ " " }}
            {%- endfor %}
        )
        {%- if mart.config.meta.get("changed_by") and not is_whole %}
        and {{ is_due("old." ~ mart.config.meta.changed_by) }}
        {%- endif %}
{%- endmacro %}

{% macro merge_rows_sql(mart, query, is_whole) -%}
    {%- set key = key_of(mart) -%}
    {%- set names = mart.columns | list -%}
    {%- set values = names | reject("in", key) | list -%}
    merge into {{ mart.relation_name }} as old
    using {{ rows_to_publish(mart, query, is_whole) }} as new
    on {% for name in key -%}
        {{ "and " if not loop.first }}new.{{ name }} = old.{{ name }}{{ " " }}
    {%- endfor %}
    {%- if values %}
    when matched and
        row(old.{{ values | join(", old.") }})
        is distinct from row(new.{{ values | join(", new.") }})
        then update set
        {%- for name in values %}
            {{ name }} = new.{{ name }}{{ "," if not loop.last }}
        {%- endfor %}
    {%- endif %}
    when not matched
        then insert ({{ names | join(", ") }})
        values (new.{{ names | join(", new.") }})
{%- endmacro %}

{#- Add the missing keys and indexes after the rows: inserting a million rows is then
    several times as fast. -#}
{% macro add_missing_keys_sql(mart, constraints) -%}
    {%- set table = mart.relation_name -%}
    do $$
    begin
        {%- for constraint in constraints %}
        {%- set columns = "(" ~ constraint.columns | join(", ") ~ ")" %}
        {%- if constraint.type == "primary_key" %}
            {%- set condition = "pg_get_constraintdef(oid) = 'PRIMARY KEY " ~ columns ~ "'" %}
            {%- set addition = "primary key " ~ columns ~ ", replica identity default" %}
        {%- else %}
            {%- set condition = "conname = '" ~ constraint.name ~ "'" %}
            {%- set addition = "constraint " ~ constraint.name ~ " foreign key " ~ columns
                ~ " references " ~ constraint.to
                ~ " (" ~ constraint.to_columns | join(", ") ~ ")" %}
        {%- endif %}
        if not exists (
            select from pg_constraint
            where conrelid = '{{ table }}'::regclass and {{ condition }}
        ) then
            alter table {{ table }} add {{ addition }};
        end if;
        {%- endfor %}
        {%- for index in mart.config.get("indexes") or [] %}
        {%- set columns = "(" ~ index.columns | join(", ") ~ ")" %}
        -- Compare the columns, because an earlier release may have used another name.
        if not exists (
            select from pg_index
            where
                indrelid = '{{ table }}'::regclass
                and pg_get_indexdef(indexrelid) like '% USING btree {{ columns }}'
        ) then
            create index {{ mart.name }}_{{ index.columns | join("_") }}_idx
            on {{ table }} {{ columns }};
        end if;
        {%- endfor %}
    end
    $$;
{%- endmacro %}

{#- Runs after publishing, when a column added by an upgrade has its values. -#}
{% macro require_not_null(results) -%}
    {%- if execute and flags.WHICH == "build" and results
        and not reason_not_to_publish(published_models(), results) -%}
        {%- for mart in published_models() -%}
            {%- set required = [] -%}
            {%- for column in mart.columns.values()
                if "not_null" in column.constraints | map(attribute="type") -%}
                {%- do required.append(column.name) -%}
            {%- endfor %}
    begin;
    {{ between_readers_sql(
        "alter table " ~ mart.relation_name ~ " alter column "
        ~ required | join(" set not null, alter column ") ~ " set not null",
        "exists (select from pg_attribute where attrelid = '" ~ mart.relation_name
        ~ "'::regclass and not attnotnull and attname in ('"
        ~ required | join("', '") ~ "'))"
    ) }};
    commit;
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
