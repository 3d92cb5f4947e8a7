{#- Tools show line breaks in comments, so join the lines of the description. -#}
{% macro postgres_escape_comment(comment) -%}
    {{- dbt.postgres_escape_comment(comment.split() | join(" ")) -}}
{%- endmacro %}
