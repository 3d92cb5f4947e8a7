-- Unlogged, as all that says what to do: after a crash nobody knows, and all is done.
{{
    config(
        materialized='table',
        unlogged=true,
        pre_hook="{{ set_work_mem() }}",
        post_hook=[
            "{{ pass_on_build(ref('int_inputs_fingerprinted')) }}",
            "analyze {{ this }}",
        ],
    )
}}

with

-- Each use of it takes another index.
pull_requests as not materialized (
    select * from {{ ref('stg_github__pull_requests') }}
),

inputs as (
    select * from {{ ref('int_inputs_fingerprinted') }}
),

processed as (
    select * from {{ ref('int_inputs_processed') }}
),

wanted as (
    select
        readers.reader,
        inputs.kind,
        inputs.input_key,
        inputs.fingerprint
    from inputs
    cross join (
        values ('fct_pull_requests'), ('fct_team_pull_requests')
    ) as readers (reader)
),

stale as (
    select
        coalesce(wanted.kind, processed.kind) as kind,
        coalesce(wanted.input_key, processed.input_key) as input_key
    from wanted
    full outer join processed
        on wanted.reader = processed.reader
        and wanted.kind = processed.kind
        and wanted.input_key = processed.input_key
    where wanted.fingerprint is distinct from processed.fingerprint
    group by 1, 2
),

-- One row: whether all is to be done, else between which numbers.
scope as (
    select
        {{ is_a_reader_made_anew() }}
        or exists (
            select 1 from stale
            where stale.kind = 'setting'
        ) as is_everything,
        (
            select min(processed.fingerprint::bigint)
            from processed
            where processed.kind = 'change'
        ) as after_number,
        (
            select min(inputs.fingerprint::bigint)
            from inputs
            where inputs.kind = 'change'
        ) as last_number
),

everything as (
    select null as pull_request_id
    from scope
    where scope.is_everything
    union all
    select pull_requests.pull_request_id
    from pull_requests
    where (select scope.is_everything from scope)
),

named as (
    -- Between two numbers: of an open end the planner would expect a third of all.
    select pull_requests.pull_request_id
    from pull_requests
    where
        pull_requests.change_number > (select scope.after_number from scope)
        and pull_requests.change_number <= (select scope.last_number from scope)
    union
    select pull_requests.pull_request_id
    from pull_requests
    inner join stale on pull_requests.author_person_id = stale.input_key
    where stale.kind = 'person'
    union
    select pull_requests.pull_request_id
    from pull_requests
    inner join stale on pull_requests.repository_id = stale.input_key
    where stale.kind = 'repository'
),

touched as (
    select everything.pull_request_id from everything
    union all
    select named.pull_request_id
    from named
    where not (select scope.is_everything from scope)
)

select * from touched
