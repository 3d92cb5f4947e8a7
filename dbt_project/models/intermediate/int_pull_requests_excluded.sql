with

pull_requests as (
    select * from {{ ref('int_pull_requests_measured') }}
),

repositories as (
    select * from {{ ref('stg_github__repositories') }}
),

accounts as (
    select * from {{ ref('int_accounts_identified') }}
),

attributions as (
    select * from {{ ref('int_pull_requests_attributed') }}
    where is_current
),

periods as (
    select * from {{ ref('int_team_periods_spanned') }}
),

coverage as (
    select * from {{ ref('int_coverage_measured') }}
),

spans as (
    select
        team_id,
        min(period) filter (where unit = 'week') as first_week,
        min(period) filter (where unit = 'month') as first_month
    from periods
    group by team_id
),

excluded as (
    select
        pull_requests.pull_request_id,
        coalesce(
            repositories.repository_name, pull_requests.repository_name
        ) as repository,
        pull_requests.number,
        pull_requests.author_login as author,
        pull_requests.merged_at,
        case
            when pull_requests.vanished_at is not null then 'vanished'
            when pull_requests.author_account_id is null then 'author_deleted'
            when accounts.person_id is null and pull_requests.is_by_bot
                then 'bot_not_listed'
            when accounts.person_id is null then 'author_never_tracked'
            when pull_requests.excluded_by is not null then 'excluded_by_rule'
            when not credited.is_attributed then 'outside_windows'
            when coverage.as_of is null then 'nothing_covered'
            when not credited.has_begun then 'team_not_begun'
            else 'before_data_from'
        end as reason
    from pull_requests
    cross join coverage
    left join repositories
        on pull_requests.repository_id = repositories.repository_id
    left join accounts on pull_requests.author_account_id = accounts.account_id
    -- One look into an index for each, so that a data test of few is fast.
    cross join
        lateral (
            select
                count(*) > 0 as is_attributed,
                bool_or(spans.team_id is not null) as has_begun,
                -- Its week may begin before data_from and its month not, or
                -- the other way.
                bool_or(
                    attributions.week >= spans.first_week
                    or attributions.month >= spans.first_month
                ) as is_counted
            from attributions
            left join spans on attributions.team_id = spans.team_id
            where
                attributions.pull_request_id = pull_requests.pull_request_id
                and attributions.team_id <> 'unassigned'
        ) as credited
    where
        pull_requests.merged_at is not null
        and credited.is_counted is not true
)

select * from excluded
