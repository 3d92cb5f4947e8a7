{#- A snapshot's spans are those of builds: `dbt_valid_from` is `built_at` of dim_build.
    dbt's own is the clock of the session's time zone, without saying which. -#}
{% macro postgres__snapshot_get_time() -%}
    '{{ run_started_at.isoformat() }}'::timestamptz
{%- endmacro %}
