{% macro hours(duration) -%}
    extract(epoch from {{ duration }})::double precision / 3600
{%- endmacro %}

{#- Hours as whole microseconds, which is what they were made from: sums of them are exact,
    whatever the order of the rows. -#}
{% macro microseconds(hours) -%}
    ({{ hours }} * 3600000000)::bigint
{%- endmacro %}

{% macro average_hours(hours) -%}
    avg({{ microseconds(hours) }})
{%- endmacro %}

{% macro as_hours(microseconds) -%}
    ({{ microseconds }} / 3600000000)::double precision
{%- endmacro %}
