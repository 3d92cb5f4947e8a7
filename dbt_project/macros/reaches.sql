{#- Whether a sum of shares is at least another. They are doubles: 1/3 + 1/6 is 0.5 but for
    the last bits. -#}
{% macro reaches(total, wanted) -%}
    {{ total }} >= {{ wanted }} - 1e-9
{%- endmacro %}

{#- How long after a deployment something counts as its failure. -#}
{% macro failure_window_days() -%}
    {{ return(var("failure_window_days") | int) }}
{%- endmacro %}
