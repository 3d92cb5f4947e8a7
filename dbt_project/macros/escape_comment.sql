{#- A tool shows a comment as it stands, so it is one line, not the file's several. -#}
{% macro postgres_escape_comment(comment) -%}
    {{- dbt.postgres_escape_comment(comment.split() | join(" ")) -}}
{%- endmacro %}
