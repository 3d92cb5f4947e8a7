with

memberships as (
    select * from {{ ref('stg_teams__memberships') }}
),

windows as (
    select
        team_id,
        github_username,
        allocation_weight,
        joined_at,
        left_at,
        also
    from memberships
)

select * from windows
