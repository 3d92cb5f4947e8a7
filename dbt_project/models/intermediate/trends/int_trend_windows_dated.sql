{%- set timezone = reporting_timezone() %}

with

coverage as (
    select * from {{ ref('int_coverage_measured') }}
),

-- The week that contains as_of is not complete, even if it has just begun.
latest as (
    select {{ period_of('as_of', 'week', timezone) }} as week
    from coverage
    where as_of is not null
),

dated as (
    select
        spans.span,
        latest.week - spans.days_back as first_week,
        latest.week - spans.days_back + 12 * 7 as last_week
    from latest
    cross join (
        -- 13 weeks; the 13 before; the same 13 a year, 52 weeks, earlier.
        values ('current', 13 * 7), ('quarter_before', 26 * 7), ('year_before', 65 * 7)
    ) as spans (span, days_back)
)

select * from dated
