{#- dbt asks a relation for its columns first, and passes over what is described and is not
    there; here that is an error, and the question is saved. -#}
{% macro postgres__alter_column_comment(relation, column_dict) -%}
    {%- for name, column in column_dict.items() %}
        comment on column {{ relation }}.{{ adapter.quote(name) }}
        is {{ postgres_escape_comment(column["description"]) }};
    {%- endfor %}
{%- endmacro %}
