{#- `unit` is week (from Monday) or month; `timezone` is reporting_timezone(). The model
    passes it so that unit tests can override it. -#}
{% macro period_of(instant, unit, timezone) -%}
    date_trunc('{{ unit }}', {{ instant }} at time zone '{{ timezone }}')::date
{%- endmacro %}
