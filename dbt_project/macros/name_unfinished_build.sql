{#- A build that wrote marts and did not come to dim_build, because something failed or was
    not selected, gives that row its id all the same: whoever keeps answers under `build_id`
    must not take them for those of before. The rest of the row stays that of the last build
    that went through. -#}
{% macro name_unfinished_build(results) -%}
    {%- if execute -%}
        {%- set build = graph.nodes["model.dora_metrics.dim_build"] -%}
        {%- set wrote = [] -%}
        {%- for result in results if result.status == "success"
            and result.node.resource_type == "model"
            and result.node.schema == build.schema -%}
            {%- do wrote.append(result.node.name) -%}
        {%- endfor -%}
        {%- if wrote and build.name not in wrote
            and load_relation(api.Relation.create(
                database=build.database, schema=build.schema, identifier=build.alias
            )) -%}
            update {{ build.relation_name }} set build_id = '{{ invocation_id }}'
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
