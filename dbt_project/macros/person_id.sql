{#- GitHub's node id of an account, which outlives a change of login. A login that came
    without an id stands for itself; a deleted account is nobody. -#}
{% macro person_id(id, login) -%}
    coalesce({{ id }}, 'login ' || {{ login_key(login) }})
{%- endmacro %}
