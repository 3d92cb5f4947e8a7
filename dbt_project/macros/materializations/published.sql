{#- A mart: the table that readers see. Running the model creates the table or changes
    its columns to match the contract. `publish` updates its rows at the end of the
    build. -#}
{% materialization published, adapter="postgres" %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type="table") -%}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {{ get_assert_columns_equivalent(sql) }}
    {%- call statement("main") -%}
        {%- if existing is none %}
        create table {{ target_relation }} (
            {{ adapter.render_raw_columns_constraints(raw_columns=model["columns"])
                | join(", ") }}
        );
        -- Applies until the table has its primary key: see identify_rows.
        alter table {{ target_relation }} replica identity full;
        -- The new table is empty, so this build has to publish every row.
        delete from {{ node_of("int_builds_published").relation_name }}
        {%- else %}
        {{ change_columns_sql(target_relation) }}
        {%- endif %}
    {%- endcall -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do apply_grants(target_relation, config.get("grants"), should_revoke=True) -%}
    {%- do persist_docs(target_relation, model) -%}
    {%- do adapter.commit() -%}
    {{ return({"relations": [target_relation]}) }}
{% endmaterialization %}

{#- A new column is nullable until its values are published: see `require_not_null`. -#}
{% macro change_columns_sql(relation) -%}
    {%- set types = {} -%}
    {%- for row in run_query(find_columns_sql(relation)).rows -%}
        {%- do types.update({row["attname"]: row["data_type"]}) -%}
    {%- endfor -%}
    {%- set changes = [] -%}
    {%- for name, column in model["columns"].items() -%}
        {%- if name not in types -%}
            {%- do changes.append("add column " ~ name ~ " " ~ column["data_type"]) -%}
        {%- elif types[name] != column["data_type"] -%}
            {%- do changes.append(
                "alter column " ~ name ~ " type " ~ column["data_type"]
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for name in types if name not in model["columns"] -%}
        {%- do changes.append("drop column " ~ name) -%}
    {%- endfor -%}
    {%- if changes -%}
        {{ between_readers_sql("alter table " ~ relation ~ " " ~ changes | join(", ")) }}
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro %}

{% macro find_columns_sql(relation) -%}
    select
        attname,
        format_type(atttypid, atttypmod) as data_type
    from pg_attribute
    where attrelid = '{{ relation }}'::regclass and attnum > 0 and not attisdropped
{%- endmacro %}

{#- Runs a statement that briefly blocks readers. It does not wait for a long query,
    because all later queries would then wait too; it retries instead. -#}
{% macro between_readers_sql(statement, condition="true") -%}
    do $$
    begin
        if not ({{ condition }}) then
            return;
        end if;
        set local lock_timeout = '100ms';
        for attempt in 1..600 loop
            begin
                {{ statement }};
                return;
            exception when lock_not_available then
                perform pg_sleep(0.4);
            end;
        end loop;
        raise 'a reader kept its lock for five minutes: {{ statement }}';
    end
    $$
{%- endmacro %}
