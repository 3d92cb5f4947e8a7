{{ config(severity='warn') }}

with

memberships as (
    select * from {{ ref('int_memberships_identified') }}
)

select
    memberships.team_id,
    memberships.person_id,
    memberships.github_username,
    twins.github_username as other_github_username,
    greatest(memberships.joined_at, twins.joined_at) as joined_at
from memberships
inner join memberships as twins
    on memberships.team_id = twins.team_id
    and memberships.person_id = twins.person_id
    and memberships.login_key < twins.login_key
    and memberships.joined_at < coalesce(twins.left_at, 'infinity')
    and twins.joined_at < coalesce(memberships.left_at, 'infinity')
