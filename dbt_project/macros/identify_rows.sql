{#- If a publication covers all tables, Postgres rejects updates and deletes in a table
    without a primary key, such as a snapshot, unless it has another replica
    identity. -#}
{% macro identify_rows() -%}
    do $$
    begin
        if (
            select relreplident <> 'f' from pg_class
            where oid = '{{ this }}'::regclass
        ) then
            alter table {{ this }} replica identity full;
        end if;
    end $$
{%- endmacro %}
