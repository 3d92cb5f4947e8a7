with

attributions as (
    select * from {{ ref('fct_team_pull_requests') }}
),

pull_requests as (
    select * from {{ ref('fct_pull_requests') }}
),

memberships as (
    select * from {{ ref('dim_team_memberships') }}
),

logins as (
    select * from {{ ref('int_logins_identified') }}
),

windows as (
    select
        memberships.team_id,
        logins.person_id,
        tstzrange(memberships.joined_at, memberships.left_at) as held_during
    from memberships
    inner join logins
        on {{ login_key('memberships.github_username') }} = logins.login_key
),

covered as (
    select
        attributions.team_id,
        attributions.pull_request_id,
        bool_or(attributions.attributed_at <@ windows.held_during) as is_covered
    from attributions
    inner join pull_requests
        on attributions.pull_request_id = pull_requests.pull_request_id
    left join windows
        on attributions.team_id = windows.team_id
        and pull_requests.author_id = windows.person_id
    where attributions.team_id <> 'unassigned'
    group by attributions.team_id, attributions.pull_request_id
)

select *
from covered
where is_covered is not true
