{#- The schemas are a promise to readers: no prefix of the target's, only the one of the
    whole installation. `dora teams diff` builds everything in one scratch schema
    instead, beside the marts. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set prefix = env_var("DORA_SCHEMA_PREFIX", "") -%}
    {{ var("scratch_schema", none) or prefix ~ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
