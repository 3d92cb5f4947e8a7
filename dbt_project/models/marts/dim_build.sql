with

coverage as (
    select * from {{ ref('int_coverage_measured') }}
),

build as (
    select
        '{{ invocation_id }}'::text as build_id,
        '{{ run_started_at.isoformat() }}'::timestamptz as built_at,
        as_of,
        data_from,
        history_from,
        '{{ var("reporting_timezone") }}'::text as reporting_timezone,
        '{{ var("attribution_instant") }}'::text as attribution_instant
    from coverage
)

select * from build
