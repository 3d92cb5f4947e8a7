{#- Statistics of a mart, where a build has put in more than a tenth of its rows: to take
    them costs as much for a thousand rows as for all. Postgres itself takes them, soon
    after, where many small builds have come to as much. -#}
{% macro analyze_if_many() -%}
    do $$
    begin
        if (select count(*) from {{ ref('int_pull_requests_touched') }})
            > (select reltuples / 10 from pg_class where oid = '{{ this }}'::regclass)
        then
            analyze {{ this }};
        end if;
    end
    $$
{%- endmacro %}
