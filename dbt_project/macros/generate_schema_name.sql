{#- Readers rely on the schema names, so the only prefix is that of the installation,
    not the target's schema. `dora teams diff` builds everything in one scratch schema
    instead, beside the marts. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set prefix = env_var("DORA_SCHEMA_PREFIX", "") -%}
    {{ var("scratch_schema", none) or prefix ~ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
