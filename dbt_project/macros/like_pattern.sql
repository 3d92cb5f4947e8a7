{#- Converts a glob, with `*` for any text and `?` for one character, to a `like`
    pattern. -#}
{% macro like_pattern(glob) -%}
    translate(regexp_replace({{ glob }}, '([\\%_])', '\\\1', 'g'), '*?', '%_')
{%- endmacro %}

{#- Whether a text matches a `like` pattern, ignoring case in any locale. -#}
{% macro matches(text, pattern) -%}
    {{ text }} collate "C" ilike {{ pattern }}
{%- endmacro %}
