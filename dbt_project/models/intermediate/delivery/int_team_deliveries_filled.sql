{{ config(materialized='table') }}
{%- set timezone = reporting_timezone() %}
{%- set counts_of = {
    'deployments': [
        'deployments', 'weighted_deployments', 'deployment_days', 'rollbacks',
        'failed_deployments', 'failed_by_incident', 'failed_by_rollback',
        'failed_by_revert', 'failed_by_hotfix', 'failed_by_status',
        'rework_deployments', 'failures_recovered', 'failures_open',
    ],
    'changes': ['changes_deployed', 'weighted_changes_deployed'],
} %}
{%- set figures_of = {
    'deployments': [
        'change_fail_rate', 'weighted_change_fail_rate', 'deployment_rework_rate',
        'weighted_deployment_rework_rate', 'median_recovery_hours',
        'weighted_median_recovery_hours',
    ],
    'changes': [
        'median_change_lead_time_hours', 'p95_change_lead_time_hours',
        'weighted_median_change_lead_time_hours',
        'weighted_p95_change_lead_time_hours', 'median_deploy_hours',
        'avg_coding_hours', 'avg_draft_hours', 'avg_pickup_hours', 'avg_review_hours',
        'avg_deploy_hours',
    ],
} %}

with

periods as (
    select * from {{ ref('int_team_periods_spanned') }}
),

deployments as (
    select * from {{ ref('int_team_deployments_summed') }}
),

changes as (
    select * from {{ ref('int_team_changes_summed') }}
),

covered as (
    select * from {{ ref('int_delivery_covered') }}
),

coverage as (
    select * from {{ ref('int_coverage_measured') }}
),

begun as (
    select * from {{ ref('int_teams_measured') }}
),

last_periods as (
    select
        team_id,
        is_group,
        unit,
        max(period) as last_period
    from periods
    group by team_id, is_group, unit
),

delivered as (
    select
        team_id,
        unit,
        period
    from deployments
    union all
    select
        team_id,
        unit,
        period
    from changes
    where changes_deployed > 0
),

last_deliveries as (
    select
        team_id,
        unit,
        max(period) as period
    from delivered
    group by team_id, unit
),

-- Changes of a former team can be deployed, and failures can recover, after its last
-- period.
spanned as (
    select
        team_id,
        is_group,
        unit,
        period
    from periods
    union all
    select
        last_periods.team_id,
        last_periods.is_group,
        last_periods.unit,
        later.period::date as period
    from last_periods
    inner join last_deliveries
        on last_periods.team_id = last_deliveries.team_id
        and last_periods.unit = last_deliveries.unit
    cross join lateral generate_series(
        last_periods.last_period + ('1 ' || last_periods.unit)::interval,
        last_deliveries.period,
        ('1 ' || last_periods.unit)::interval
    ) as later (period)
),

bounded as (
    select
        spanned.team_id,
        spanned.is_group,
        spanned.unit,
        spanned.period,
        bounds.ends_at <= least(coverage.as_of, covered.as_of)
        and (
            coverage.history_from is null
            or bounds.starts_at >= coverage.history_from
        ) as is_complete,
        bounds.ends_at + interval '{{ failure_window_days() }} days'
        <= least(coverage.as_of, covered.as_of) as is_window_over,
        coalesce(bounds.ends_at > begun.measured_from, false) as is_measured
    from spanned
    cross join covered
    cross join coverage
    left join begun on spanned.team_id = begun.team_id
    cross join
        lateral (
            values (
                spanned.period::timestamp at time zone '{{ timezone }}',
                (spanned.period + ('1 ' || spanned.unit)::interval)
                at time zone '{{ timezone }}'
            )
        ) as bounds (starts_at, ends_at)
)

select
    bounded.team_id,
    bounded.is_group,
    bounded.unit,
    bounded.period,
    {%- for source, names in counts_of.items() %}
        {%- for name in names %}
            case when bounded.is_measured then coalesce({{ source }}.{{ name }}, 0) end
                as {{ name }},
        {%- endfor %}
    {%- endfor %}
    {%- for source, names in figures_of.items() %}
        {%- for name in names %}
            case when bounded.is_measured then {{ source }}.{{ name }} end
                as {{ name }},
        {%- endfor %}
    {%- endfor %}
    bounded.is_complete,
    bounded.is_complete and bounded.is_window_over as is_settled
from bounded
left join deployments
    on bounded.team_id = deployments.team_id
    and bounded.unit = deployments.unit
    and bounded.period = deployments.period
left join changes
    on bounded.team_id = changes.team_id
    and bounded.unit = changes.unit
    and bounded.period = changes.period
