{#- GitHub's node id of an account, which stays when the login changes. Without an id,
    the login itself; null for a deleted account. -#}
{% macro person_id(id, login) -%}
    coalesce({{ id }}, 'login ' || {{ login_key(login) }})
{%- endmacro %}
