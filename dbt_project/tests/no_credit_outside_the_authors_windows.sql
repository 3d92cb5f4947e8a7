with

attributions as (
    select * from {{ audited(ref('int_pull_requests_attributed')) }} as audited
    where is_current and not is_group
),

pull_requests as (
    select * from {{ ref('int_pull_requests_tracked') }}
),

memberships as (
    select * from {{ ref('stg_teams__memberships') }}
),

logins as (
    select * from {{ ref('int_logins_identified') }}
),

accounts as (
    select * from {{ ref('int_accounts_identified') }}
),

windows as (
    select
        memberships.team_id,
        accounts.person_id,
        tstzrange(memberships.joined_at, memberships.left_at) as held_during
    from memberships
    inner join logins
        on {{ login_key('memberships.github_username') }} = logins.login_key
    inner join accounts on logins.account_id = accounts.account_id
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
