with

scope as (
    select * from {{ ref('int_build_scoped') }}
),

coverage as (
    select * from {{ ref('int_coverage_measured') }}
),

described as (
    select
        scope.build_id,
        scope.built_at,
        coverage.as_of,
        coverage.data_from,
        coverage.history_from,
        '{{ reporting_timezone() }}'::text as reporting_timezone,
        '{{ attribution_instant() }}'::text as attribution_instant
    from coverage
    cross join scope
)

select * from described
