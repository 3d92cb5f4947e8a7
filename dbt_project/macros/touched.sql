{#- How incremental models know what to do: docs/incremental.md. -#}

{%- macro readers_of_touched() -%}
    {{ return(["fct_pull_requests", "fct_team_pull_requests"]) }}
{%- endmacro -%}

{#- Whether a reader of int_pull_requests_touched is not there, or is about to be replaced. -#}
{% macro is_a_reader_made_anew() -%}
    {%- set missing = [] -%}
    {%- for reader in readers_of_touched() -%}
        {%- set schema = generate_schema_name("marts", none) -%}
        {%- if not adapter.get_relation(this.database, schema, reader) -%}
            {%- do missing.append(reader) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(flags.FULL_REFRESH or missing | length > 0) }}
{%- endmacro %}

{#- Before a reader inserts the rows of what is touched, in its transaction. -#}
{% macro replace_touched_pull_requests() -%}
    {%- set touched = ref('int_pull_requests_touched') -%}
    {%- if is_incremental() %}
        delete from {{ this }}
        where
            exists (select 1 from {{ touched }} where pull_request_id is null);
        delete from {{ this }}
        where pull_request_id in (select pull_request_id from {{ touched }});
    {%- elif execute -%}
        {%- set all = "select 1 from " ~ touched ~ " where pull_request_id is null" -%}
        {%- if not run_query(all).rows -%}
            {{ exceptions.raise_compiler_error(
                this ~ " is made anew, which takes all pull requests, and not all are at"
                ~ " hand: --select +" ~ this.identifier ~ ", with what is before it"
            ) }}
        {%- endif -%}
    {%- endif %}
{%- endmacro %}

{#- After it has inserted them. -#}
{% macro remember_inputs() -%}
    delete from {{ ref('int_inputs_processed') }}
    where reader = '{{ this.identifier }}';
    insert into {{ ref('int_inputs_processed') }} (reader, kind, input_key, fingerprint)
    select
        '{{ this.identifier }}',
        kind,
        input_key,
        fingerprint
    from {{ ref('int_inputs_fingerprinted') }};
{%- endmacro %}

{#- Before and after fct_team_pull_requests replaces its rows: where they were and where
    they are. Once it is made anew, that is everywhere. -#}
{% macro note_touched_periods() -%}
    {%- set touched = ref('int_pull_requests_touched') -%}
    insert into {{ ref('int_team_periods_touched') }} (unit, team_id, period)
    {%- if is_incremental() %}
        select
            periods.unit,
            attributions.team_id,
            periods.period
        from (
            select attributions.*
            from {{ this }} as attributions
            inner join {{ touched }} as touched
                on attributions.pull_request_id = touched.pull_request_id
            union all
            select *
            from {{ this }}
            where exists (select 1 from {{ touched }} where pull_request_id is null)
        ) as attributions
        cross join lateral (
            values ('week', attributions.week), ('month', attributions.month)
        ) as periods (unit, period)
        where attributions.merged_at is not null
        group by periods.unit, attributions.team_id, periods.period;
    {%- else %}
        values ('week', null, null), ('month', null, null);
    {%- endif %}
{%- endmacro %}

{#- Before a rollup inserts the rows of the periods that it lacks. -#}
{% macro delete_touched_periods(unit) -%}
    {%- set touched = ref('int_team_periods_touched') -%}
    {%- if is_incremental() %}
        delete from {{ this }}
        where exists (
            select 1 from {{ touched }} where unit = '{{ unit }}' and team_id is null
        );
        delete from {{ this }}
        where (team_id, {{ unit }}) in (
            select team_id, period from {{ touched }} where unit = '{{ unit }}'
        );
        delete from {{ this }} as rollup
        where not exists (
            select 1 from {{ ref('int_team_periods_spanned') }} as periods
            where
                periods.unit = '{{ unit }}'
                and periods.team_id = rollup.team_id
                and periods.period = rollup.{{ unit }}
                and periods.is_complete = rollup.is_complete
        );
    {%- endif %}
{%- endmacro %}

{#- After it has inserted them. -#}
{% macro forget_touched_periods(unit) -%}
    delete from {{ ref('int_team_periods_touched') }} where unit = '{{ unit }}';
{%- endmacro %}
