-- A table: dbt drops a view when it replaces a table that the view reads.
{{ config(materialized='table') }}
{%- set timezone = reporting_timezone() %}

with

coverage as (
    select * from {{ ref('int_coverage_measured') }}
),

memberships as (
    select * from {{ ref('int_memberships_grouped') }}
),

attributions as (
    select * from {{ ref('int_pull_requests_attributed') }}
),

tenures as (
    select
        team_id,
        is_group,
        min(joined_at) as first_joined_at,
        max(coalesce(left_at, 'infinity')) as last_left_at
    from memberships
    group by team_id, is_group
),

merged as (
    select
        tenures.team_id,
        last_merge.merged_at as last_merged_at
    from tenures
    -- One index lookup per team.
    cross join lateral (
        select max(attributions.merged_at) as merged_at
        from attributions
        where attributions.team_id = tenures.team_id
    ) as last_merge
),

bounds as (
    select
        tenures.team_id,
        tenures.is_group,
        coverage.as_of,
        coverage.history_from,
        greatest(tenures.first_joined_at, coverage.data_from)
        at time zone '{{ timezone }}' as first_at,
        greatest(
            -- The window ends just before left_at.
            least(coverage.as_of, tenures.last_left_at - interval '1 microsecond'),
            merged.last_merged_at
        ) at time zone '{{ timezone }}' as last_at
    from tenures
    inner join coverage on tenures.first_joined_at <= coverage.as_of
    left join merged on tenures.team_id = merged.team_id
),

periods as (
    select
        bounds.team_id,
        bounds.is_group,
        units.unit,
        bounds.as_of,
        bounds.history_from,
        spine.start_at,
        spine.start_at + ('1 ' || units.unit)::interval as end_at
    from bounds
    cross join (values ('week'), ('month')) as units (unit)
    cross join lateral generate_series(
        date_trunc(units.unit, bounds.first_at),
        date_trunc(units.unit, bounds.last_at),
        ('1 ' || units.unit)::interval
    ) as spine (start_at)
),

spanned as (
    select
        team_id,
        is_group,
        unit,
        start_at::date as period,
        end_at <= as_of at time zone '{{ timezone }}'
        and (
            history_from is null
            or start_at at time zone '{{ timezone }}' >= history_from
        ) as is_complete
    from periods
)

select * from spanned
