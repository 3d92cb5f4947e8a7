{#- Logins compare without regard to case, and x[bot] is x. -#}
{% macro login_key(login) -%}
    regexp_replace({{ lower_ascii(login) }}, '\[bot\]$', '')
{%- endmacro %}

{#- In lower case, for ASCII: by the database's own collation, a Turkish I has no dot. -#}
{% macro lower_ascii(text) -%}
    lower({{ text }} collate "C")
{%- endmacro %}
