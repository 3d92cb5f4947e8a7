with

pull_requests as (
    select * from {{ ref('stg_github__pull_requests') }}
),

repositories as (
    select * from {{ ref('stg_github__repositories') }}
),

memberships as (
    select * from {{ ref('int_memberships_identified') }}
),

attributions as (
    select * from {{ ref('fct_team_pull_requests') }}
),

periods as (
    select * from {{ ref('int_team_periods_spanned') }}
),

coverage as (
    select * from {{ ref('int_coverage_measured') }}
),

members as (
    select person_id
    from memberships
    group by person_id
),

spans as (
    select
        team_id,
        min(period) filter (where unit = 'week') as first_week,
        min(period) filter (where unit = 'month') as first_month
    from periods
    group by team_id
),

credited as (
    select
        attributions.pull_request_id,
        bool_or(spans.team_id is not null) as has_begun,
        -- Its week may begin before data_from and its month not, or the other way.
        bool_or(
            attributions.week >= spans.first_week
            or attributions.month >= spans.first_month
        ) as is_counted
    from attributions
    left join spans on attributions.team_id = spans.team_id
    where attributions.team_id <> 'unassigned'
    group by attributions.pull_request_id
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
            when pull_requests.author_person_id is null then 'author_deleted'
            when members.person_id is null and pull_requests.is_by_bot
                then 'bot_not_listed'
            when members.person_id is null then 'author_never_tracked'
            when credited.pull_request_id is null then 'outside_windows'
            when coverage.as_of is null then 'nothing_covered'
            when not credited.has_begun then 'team_not_begun'
            else 'before_data_from'
        end as reason
    from pull_requests
    cross join coverage
    left join repositories
        on pull_requests.repository_id = repositories.repository_id
    left join members on pull_requests.author_person_id = members.person_id
    left join credited
        on pull_requests.pull_request_id = credited.pull_request_id
    where
        pull_requests.merged_at is not null
        and credited.is_counted is not true
)

select * from excluded
