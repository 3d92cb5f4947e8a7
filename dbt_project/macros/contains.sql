{#- Whether the commit of row `one` is the commit of row `other` or a descendant of it,
    by their positions in the commit graph: see ingest/commit_graph.py. -#}
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
