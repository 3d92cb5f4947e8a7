{#- Logins are compared ignoring case, and x[bot] equals x. -#}
{% macro login_key(login) -%}
    regexp_replace({{ lower_ascii(login) }}, '\[bot\]$', '')
{%- endmacro %}

{#- Lower case for ASCII only: in a Turkish collation, `lower('I')` is a dotless i. -#}
{% macro lower_ascii(text) -%}
    lower({{ text }} collate "C")
{%- endmacro %}
