{% macro hours(duration) -%}
    extract(epoch from {{ duration }})::double precision / 3600
{%- endmacro %}

{#- Hours as whole microseconds, the precision of timestamps. Their sums are exact in
    any order of the rows. -#}
{% macro microseconds(hours) -%}
    ({{ hours }} * 3600000000)::bigint
{%- endmacro %}

{% macro average_hours(hours) -%}
    avg({{ microseconds(hours) }})
{%- endmacro %}

{% macro as_hours(microseconds) -%}
    ({{ microseconds }} / 3600000000)::double precision
{%- endmacro %}
