{#- `instant` is attribution_instant(). The model passes it so that unit tests can
    override it. -#}
{% macro attributed_at(instant) -%}
    {%- if instant == "merged_at" -%} coalesce(merged_at, closed_at, created_at)
    {%- elif instant == "created_at" -%} created_at
    {%- else -%}
        {{ exceptions.raise_compiler_error(
            "attribution_instant is '" ~ instant
            ~ "'; use 'merged_at' or 'created_at'"
        ) }}
    {%- endif -%}
{%- endmacro %}
