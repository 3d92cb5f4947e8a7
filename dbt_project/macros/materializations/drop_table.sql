{#- dbt drops a table with everything that hangs on it; here it says which views that
    others made go with it. Those of this project are made again by the same build. -#}
{% macro postgres__drop_table(relation) -%}
    {%- set ours = graph.nodes.values() | map(attribute="relation_name") | list -%}
    {%- set lost = [] -%}
    {%- for row in run_query(find_views_on_sql(relation)).rows -%}
        {%- if row["view"] not in ours -%} {%- do lost.append(row["view"]) -%} {%- endif -%}
    {%- endfor -%}
    {%- if lost -%}
        {%- do exceptions.warn(
            "a view that hangs on a table which is replaced is dropped with it, "
            ~ "make it again: " ~ lost | join(", ")
        ) -%}
    {%- endif -%}
    drop table if exists {{ relation }} cascade
{%- endmacro %}

{% macro find_views_on_sql(relation) -%}
    with recursive

    hanging (oid) as (
        select to_regclass('{{ relation }}')
        union
        select pg_rewrite.ev_class::regclass
        from hanging
        inner join pg_depend
            on pg_depend.refclassid = 'pg_class'::regclass
            and hanging.oid = pg_depend.refobjid
        inner join pg_rewrite
            on pg_depend.classid = 'pg_rewrite'::regclass
            and pg_depend.objid = pg_rewrite.oid
    )

    select format('"%s"."%s"."%s"', current_database(), nspname, relname) as view
    from hanging
    inner join pg_class on hanging.oid = pg_class.oid
    inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
    where hanging.oid <> to_regclass('{{ relation }}')
    order by view
{%- endmacro %}
