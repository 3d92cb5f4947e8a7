{#- Snapshot spans start and end with builds: `dbt_valid_from` is `built_at` of
    dim_build. dbt's default is local time in the session's time zone, without an
    offset. -#}
{% macro postgres__snapshot_get_time() -%}
    '{{ run_started_at.isoformat() }}'::timestamptz
{%- endmacro %}
