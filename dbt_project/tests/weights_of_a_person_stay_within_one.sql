{{ config(severity='warn') }}

with

memberships as (
    select * from {{ ref('stg_teams__memberships') }}
),

identified as (
    select * from {{ ref('int_memberships_identified') }}
),

-- A login that GitHub has not shown yet is a separate person.
windows as (
    select
        memberships.team_id,
        memberships.allocation_weight,
        memberships.joined_at,
        coalesce(memberships.left_at, 'infinity') as left_at,
        coalesce(identified.person_id, memberships.login_key) as person
    from memberships
    left join identified
        on memberships.team_id = identified.team_id
        and memberships.login_key = identified.login_key
        and memberships.joined_at = identified.joined_at
        and identified.person_id
        <> {{ person_id('null', 'memberships.github_username') }}
),

-- The sum increases only at the start of a window.
held as (
    select
        opening.person,
        opening.joined_at,
        windows.team_id,
        max(windows.allocation_weight) as weight
    from windows as opening
    inner join windows
        on opening.person = windows.person
        and opening.joined_at >= windows.joined_at
        and opening.joined_at < windows.left_at
    group by opening.person, opening.joined_at, windows.team_id
)

select
    person,
    joined_at,
    sum(weight) as total_weight
from held
group by person, joined_at
having sum(weight) > 1
