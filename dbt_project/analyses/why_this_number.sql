-- Explains the figures of a team's week: every pull request with its weight and its
-- author's membership window. Without `team_id` all teams, without `week` all weeks.
--
--   dbt show --select why_this_number --limit -1 \
--     --vars '{team_id: payments, week: 2026-06-22}'
{%- set team_id = "'" ~ var('team_id') ~ "'" if var('team_id', none)
    else 'attributions.team_id' %}
{%- set week = "'" ~ var('week') ~ "'::date" if var('week', none)
    else 'attributions.week' %}

with

attributions as (
    select * from {{ ref('fct_team_pull_requests') }}
),

pull_requests as (
    select * from {{ ref('fct_pull_requests') }}
),

memberships as (
    select * from {{ ref('int_memberships_identified') }}
),

held as (
    select
        attributions.team_id,
        attributions.pull_request_id,
        memberships.github_username,
        memberships.joined_at,
        memberships.left_at,
        -- If a person has two logins in the team, the larger weight counts.
        row_number() over (
            partition by attributions.team_id, attributions.pull_request_id
            order by memberships.allocation_weight desc, memberships.github_username asc
        ) as nth
    from attributions
    inner join pull_requests
        on attributions.pull_request_id = pull_requests.pull_request_id
    inner join memberships
        on attributions.team_id = memberships.team_id
        and pull_requests.author_id = memberships.person_id
        and attributions.attributed_at >= memberships.joined_at
        and attributions.attributed_at < coalesce(memberships.left_at, 'infinity')
),

behind as (
    select
        attributions.team_id,
        attributions.week,
        pull_requests.repository,
        pull_requests.number,
        pull_requests.title,
        pull_requests.author,
        attributions.weight,
        held.github_username,
        held.joined_at,
        held.left_at,
        attributions.attributed_at,
        pull_requests.created_at,
        pull_requests.merged_at,
        pull_requests.cycle_time_hours,
        pull_requests.url
    from attributions
    inner join pull_requests
        on attributions.pull_request_id = pull_requests.pull_request_id
    inner join held
        on attributions.team_id = held.team_id
        and attributions.pull_request_id = held.pull_request_id
        and held.nth = 1
    where
        pull_requests.merged_at is not null
        and attributions.team_id = {{ team_id }}
        and attributions.week = {{ week }}
)

select *
from behind
order by team_id asc, week desc, merged_at desc, repository asc, number desc
