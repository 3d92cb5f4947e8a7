{% macro set_work_mem() -%}
    set local work_mem = '{{ var("work_mem") }}'
{%- endmacro %}
