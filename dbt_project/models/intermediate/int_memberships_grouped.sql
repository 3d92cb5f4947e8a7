with

memberships as (
    select * from {{ ref('stg_teams__memberships') }}
),

team_groups as (
    select * from {{ ref('int_team_groups_listed') }}
),

of_groups as (
    select
        team_groups.group_id,
        memberships.team_id,
        memberships.login_key,
        greatest(memberships.joined_at, team_groups.joined_at) as joined_at,
        nullif(
            least(coalesce(memberships.left_at, 'infinity'), team_groups.left_at),
            'infinity'
        ) as left_at
    from memberships
    -- Both windows hold at some instant.
    inner join team_groups
        on memberships.team_id = team_groups.team_id
        and memberships.joined_at < team_groups.left_at
        and team_groups.joined_at < coalesce(memberships.left_at, 'infinity')
),

grouped as (
    select
        team_id,
        false as is_group,
        team_id as member_team_id,
        login_key,
        joined_at,
        left_at
    from memberships
    union all
    select
        group_id as team_id,
        true as is_group,
        team_id as member_team_id,
        login_key,
        joined_at,
        left_at
    from of_groups
)

select * from grouped
