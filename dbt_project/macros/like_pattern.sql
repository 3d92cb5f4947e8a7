{#- The pattern of `like` for one with `*` for any text and `?` for one character. -#}
{% macro like_pattern(glob) -%}
    translate(regexp_replace({{ glob }}, '([\\%_])', '\\\1', 'g'), '*?', '%_')
{%- endmacro %}

{#- Whether a text matches such a pattern, without regard to case in any locale. -#}
{% macro matches(text, pattern) -%}
    {{ text }} collate "C" ilike {{ pattern }}
{%- endmacro %}
