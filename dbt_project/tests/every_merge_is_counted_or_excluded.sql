-- No merge is dropped silently: a merged pull request counts in a figure of some team,
-- or exactly one row gives a valid reason why not. (One test, because each test would
-- read every pull request.)
with

pull_requests as (
    select * from {{ audited(ref('int_pull_requests_measured')) }} as audited
),

attributions as (
    select * from {{ audited(ref('int_pull_requests_attributed')) }} as audited
    where is_current and not is_group
),

weeks as (
    select * from {{ ref('int_team_weeks_filled') }}
),

months as (
    select * from {{ ref('int_team_months_filled') }}
),

excluded as (
    select * from {{ audited(ref('int_pull_requests_excluded')) }} as audited
),

accounts as (
    select
        pull_request_id,
        1 as is_merged,
        0 as is_counted,
        0 as is_excluded
    from pull_requests
    where merged_at is not null
    union all
    select
        attributions.pull_request_id,
        0 as is_merged,
        1 as is_counted,
        0 as is_excluded
    from attributions
    left join weeks
        on attributions.team_id = weeks.team_id and attributions.week = weeks.week
    left join months
        on attributions.team_id = months.team_id and attributions.month = months.month
    where weeks.team_id is not null or months.team_id is not null
    union all
    select
        pull_request_id,
        0 as is_merged,
        0 as is_counted,
        1 as is_excluded
    from excluded
    where
        reason in (
            'vanished',
            'author_deleted',
            'bot_not_listed',
            'author_never_tracked',
            'excluded_by_rule',
            'outside_windows',
            'nothing_covered',
            'team_not_begun',
            'before_data_from'
        )
)

select
    pull_request_id,
    sum(is_merged) as merged_rows,
    max(is_counted) as is_counted,
    sum(is_excluded) as excluded_rows
from accounts
group by pull_request_id
having sum(is_merged) <> 1 or max(is_counted) + sum(is_excluded) <> 1
