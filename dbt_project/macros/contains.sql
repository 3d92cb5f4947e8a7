{#- Whether the commit of a row `one` is that of `other`, or a descendant of it, by their
    places in the graph of their repository: ingest/commit_graph.py. -#}
{% macro contains(one, other) -%}
    coalesce(
        {{ other }}.landed <= {{ one }}.fork
        or (
            {{ one }}.line = {{ other }}.line
            and {{ other }}.line_position <= {{ one }}.line_position
        )
        or {{ other }}.line_position <= ({{ one }}.reach ->> {{ other }}.line)::bigint,
        false
    )
{%- endmacro %}
