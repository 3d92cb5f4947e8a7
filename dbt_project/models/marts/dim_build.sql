-- Last of the marts, so that it never promises more than they hold: where one of them
-- or a test of it fails, this stays the row of the last build that went through.
-- depends_on: {{ ref('dim_teams') }}, {{ ref('dim_team_memberships') }}
-- depends_on: {{ ref('fct_pull_requests') }}, {{ ref('fct_team_pull_requests') }}
-- depends_on: {{ ref('fct_team_velocity_weekly') }}
-- depends_on: {{ ref('fct_team_lead_time_monthly') }}
{{
    config(
        pre_hook="{{ expect_one_build(['fct_pull_requests', 'fct_team_pull_requests']) }}"
    )
}}

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
