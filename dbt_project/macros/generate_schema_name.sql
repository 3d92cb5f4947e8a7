{#- The schemas are a promise to readers: no prefix of the target's. `dora teams diff`
    builds everything in one scratch schema instead, beside the marts. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (var("scratch_schema", none) or custom_schema_name or target.schema) | trim }}
{%- endmacro %}
