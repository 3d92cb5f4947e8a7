{#- Whether a sum of shares is at least `wanted`. Shares are doubles, and 1/3 + 1/6 may
    differ from 0.5 in the last bits. -#}
{% macro reaches(total, wanted) -%}
    {{ total }} >= {{ wanted }} - 1e-9
{%- endmacro %}

{#- Number of days after a deployment in which evidence of its failure counts. -#}
{% macro failure_window_days() -%}
    {{ return(var("failure_window_days") | int) }}
{%- endmacro %}
