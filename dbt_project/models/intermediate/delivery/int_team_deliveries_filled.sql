{%- set timezone = reporting_timezone() %}
{%- set counts = [
    'deployments', 'deployment_days', 'rollbacks', 'changes_deployed',
    'failed_deployments', 'failed_by_incident', 'failed_by_rollback', 'failed_by_revert',
    'failed_by_hotfix', 'failed_by_status', 'rework_deployments', 'failures_recovered',
    'failures_open',
] %}
{%- set figures = [
    'median_change_lead_time_hours', 'p95_change_lead_time_hours',
    'weighted_median_change_lead_time_hours', 'weighted_p95_change_lead_time_hours',
    'median_deploy_hours', 'avg_coding_hours', 'avg_draft_hours', 'avg_pickup_hours',
    'avg_review_hours', 'avg_deploy_hours', 'change_fail_rate',
    'weighted_change_fail_rate', 'deployment_rework_rate',
    'weighted_deployment_rework_rate', 'median_recovery_hours',
    'weighted_median_recovery_hours',
] %}

with

periods as (
    select * from {{ ref('int_team_periods_spanned') }}
),

sums as (
    select * from {{ ref('int_team_deliveries_summed') }}
    where team_id <> 'unassigned'
),

covered as (
    select * from {{ ref('int_delivery_covered') }}
),

coverage as (
    select * from {{ ref('int_coverage_measured') }}
),

attributions as (
    select * from {{ ref('int_pull_requests_attributed') }}
    where is_current
),

listed as (
    select * from {{ ref('int_changes_listed') }}
),

first_deployments as (
    select
        target_id,
        deployed_at
    from {{ ref('int_deployments_ranked') }}
    where sequence = 1
),

begun as (
    select
        attributions.team_id,
        min(greatest(attributions.attributed_at, first_deployments.deployed_at))
            as measured_from
    from attributions
    inner join listed on attributions.pull_request_id = listed.pull_request_id
    inner join first_deployments on listed.target_id = first_deployments.target_id
    group by attributions.team_id
),

last_periods as (
    select
        team_id,
        unit,
        max(period) as last_period
    from periods
    group by team_id, unit
),

last_sums as (
    select
        team_id,
        unit,
        max(period) as period
    from sums
    group by team_id, unit
),

-- What a team has left behind may be deployed, or recover, after its last period.
spanned as (
    select
        team_id,
        unit,
        period
    from periods
    union all
    select
        last_periods.team_id,
        last_periods.unit,
        later.period::date as period
    from last_periods
    inner join last_sums
        on last_periods.team_id = last_sums.team_id
        and last_periods.unit = last_sums.unit
    cross join lateral generate_series(
        last_periods.last_period + ('1 ' || last_periods.unit)::interval,
        last_sums.period,
        ('1 ' || last_periods.unit)::interval
    ) as later (period)
),

bounded as (
    select
        spanned.team_id,
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
    bounded.unit,
    bounded.period,
    {%- for name in counts %}
        case when bounded.is_measured then coalesce(sums.{{ name }}, 0) end
            as {{ name }},
    {%- endfor %}
    case when bounded.is_measured then coalesce(sums.weighted_deployments, 0) end
        as weighted_deployments,
    case
        when bounded.is_measured
            then coalesce(sums.weighted_changes_deployed, 0)::numeric(12, 2)
    end as weighted_changes_deployed,
    {%- for name in figures %}
        case when bounded.is_measured then sums.{{ name }} end as {{ name }},
    {%- endfor %}
    bounded.is_complete,
    bounded.is_complete and bounded.is_window_over as is_settled
from bounded
left join sums
    on bounded.team_id = sums.team_id
    and bounded.unit = sums.unit
    and bounded.period = sums.period
