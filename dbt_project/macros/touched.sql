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

{#- The variables that rows are made with. -#}
{%- macro settings() -%}
    {{ return({
        "attribution_instant": var("attribution_instant"),
        "reporting_timezone": var("reporting_timezone"),
    }) }}
{%- endmacro -%}

{#- After a relation is made of `source`, whose rows name the build that they are of. -#}
{% macro pass_on_build(source, reader=none) -%}
    {%- set processed = ref('int_inputs_processed') -%}
    delete from {{ processed }}
    where reader = '{{ this.identifier }}';
    insert into {{ processed }} (reader, kind, input_key, fingerprint)
    select
        '{{ this.identifier }}',
        kind,
        input_key,
        fingerprint
    from {{ source }}
    where
        kind = 'build'
        {%- if reader %}
        and reader = '{{ reader }}'
        {%- endif %};
{%- endmacro %}

{#- Before a relation is made of what others made: they have to be of one build, and that
    build of the variables of this run. A run of some models alone may find them otherwise,
    and would note as done what nobody has done. After a crash nobody knows, and nothing
    is noted either. -#}
{% macro expect_one_build(makers) -%}
    {%- set inputs = ref('int_inputs_fingerprinted') -%}
    {%- set processed = ref('int_inputs_processed') -%}
    {%- if execute -%}
        {%- set query -%}
            select
                (
                    select count(*) from {{ processed }} as made
                    where
                        made.kind = 'build'
                        and made.reader in ('{{ makers | join("', '") }}')
                        and made.fingerprint = build.fingerprint
                ) = {{ makers | length }} as are_of_one_build,
                (
                    select count(*) from {{ inputs }} as setting
                    where
                        setting.kind = 'setting'
                        and (setting.input_key, setting.fingerprint) in (
                            {%- for name, value in settings().items() %}
                            ('{{ name }}', '{{ value }}')
                            {%- if not loop.last -%} , {%- endif -%}
                            {%- endfor %}
                        )
                ) = {{ settings() | length }} as are_of_these_variables
            from {{ inputs }} as build
            where build.kind = 'build'
        {%- endset -%}
        {%- for row in run_query(query).rows
            if not (row["are_of_one_build"] and row["are_of_these_variables"]) -%}
            {{ exceptions.raise_compiler_error(
                this ~ " cannot be made of what was made before it, which is "
                ~ ("of several builds" if row["are_of_these_variables"]
                    else "of other variables")
                ~ ": --select +" ~ this.identifier
            ) }}
        {%- endfor -%}
    {%- endif -%}
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

{#- Before a rollup inserts the rows of the periods that it lacks, in its transaction. What
    another build adds to the touched from here on stays for the next. -#}
{% macro replace_touched_periods(unit) -%}
    {%- set touched = ref('int_team_periods_touched') -%}
    {%- if not is_incremental() %}
        delete from {{ touched }} where unit = '{{ unit }}';
    {%- else %}
        with due as (
            delete from {{ touched }} where unit = '{{ unit }}'
            returning team_id, period
        )

        delete from {{ this }}
        where
            exists (select 1 from due where team_id is null)
            or (team_id, {{ unit }}) in (select team_id, period from due);
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
