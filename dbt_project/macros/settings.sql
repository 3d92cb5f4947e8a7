{#- `--vars` overrides the environment, and the environment overrides the default. An
    empty value counts as unset. -#}

{#- The time zone of weeks and months: an IANA name, such as Europe/Berlin. -#}
{% macro reporting_timezone() -%}
    {{ return(
        var("reporting_timezone", none) or env_var("REPORTING_TIMEZONE", "") or "UTC"
    ) }}
{%- endmacro %}

{#- The instant that decides which teams a pull request belongs to: merged_at or
    created_at. -#}
{% macro attribution_instant() -%}
    {{ return(
        var("attribution_instant", none)
        or env_var("ATTRIBUTION_INSTANT", "")
        or "merged_at"
    ) }}
{%- endmacro %}

{#- At the start of a build: refuse to rebuild the marts with a default only because a
    setting of the last build is missing in this one. -#}
{% macro keep_settings() -%}
    {%- if execute and flags.WHICH in ["build", "run"] -%}
        {%- set node = graph.nodes["model.dora_metrics.dim_build"] -%}
        {%- set built = load_relation(api.Relation.create(
            database=node.database, schema=node.schema, identifier=node.alias
        )) -%}
        {%- set query = "select reporting_timezone, attribution_instant from " ~ built -%}
        {%- set chosen = {
            "reporting_timezone": reporting_timezone(),
            "attribution_instant": attribution_instant(),
        } -%}
        {%- set faults = [] -%}
        {%- for row in (run_query(query).rows if built else []) -%}
            {%- for name, value in chosen.items() -%}
                {%- set variable = name | upper -%}
                {%- set is_chosen = var(name, none) or env_var(variable, "") -%}
                {%- if row[name] != value and not is_chosen -%}
                    {%- do faults.append(
                        variable ~ " is not set, but the marts are built with "
                        ~ row[name] ~ ": set " ~ variable ~ "=" ~ row[name]
                        ~ " to keep that, or " ~ variable ~ "=" ~ value
                        ~ " to rebuild them with the default"
                    ) -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- if faults -%}
            {{ exceptions.raise_compiler_error(faults | join("\n")) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
