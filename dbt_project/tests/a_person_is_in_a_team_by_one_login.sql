{{ config(severity='warn') }}

with

memberships as (
    select * from {{ ref('int_memberships_identified') }}
)

select
    memberships.team_id,
    memberships.person_id,
    memberships.github_username,
    others.github_username as other_github_username,
    greatest(memberships.joined_at, others.joined_at) as joined_at
from memberships
inner join memberships as others
    on
        memberships.team_id = others.team_id
        and memberships.person_id = others.person_id
        and memberships.login_key < others.login_key
        and memberships.joined_at < coalesce(others.left_at, 'infinity')
        and others.joined_at < coalesce(memberships.left_at, 'infinity')
