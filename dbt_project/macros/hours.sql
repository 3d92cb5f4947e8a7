{% macro hours(duration) -%}
    extract(epoch from {{ duration }})::double precision / 3600
{%- endmacro %}
