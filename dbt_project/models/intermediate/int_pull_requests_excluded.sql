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

-- Not materialized, so that a data test of a few pull requests uses the index.
credits as not materialized (
    select * from {{ ref('int_pull_requests_attributed') }}
    where is_current and not is_group and team_id <> 'unassigned'
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
            when
                not exists (
                    select from credits
                    where credits.pull_request_id = pull_requests.pull_request_id
                )
                then 'outside_windows'
            when coverage.as_of is null then 'nothing_covered'
            when
                not exists (
                    select from credits
                    inner join spans on credits.team_id = spans.team_id
                    where credits.pull_request_id = pull_requests.pull_request_id
                )
                then 'team_not_begun'
            else 'before_data_from'
        end as reason
    from pull_requests
    cross join coverage
    left join repositories
        on pull_requests.repository_id = repositories.repository_id
    left join accounts on pull_requests.author_account_id = accounts.account_id
    where
        pull_requests.merged_at is not null
        and not exists (
            select from credits
            inner join spans on credits.team_id = spans.team_id
            where
                credits.pull_request_id = pull_requests.pull_request_id
                -- Its week can begin before data_from and its month not, or the other
                -- way round.
                and (
                    credits.week >= spans.first_week
                    or credits.month >= spans.first_month
                )
        )
)

select * from excluded
