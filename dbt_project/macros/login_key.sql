{#- Logins compare without regard to case, and x[bot] is x. -#}
{% macro login_key(login) -%}
    regexp_replace(lower({{ login }}), '\[bot\]$', '')
{%- endmacro %}
