{#- Whether a login matches a pattern of AUTOMATION_LOGINS; false for null. -#}
{% macro is_automation(login) -%}
    exists (
        select 1
        from {{ ref('stg_configuration__automation_logins') }} as automation_logins
        where {{ login_key(login) }} like automation_logins.login_pattern
    )
{%- endmacro %}
