with

source as (
    select * from {{ source('teams', 'team_memberships') }}
),

renamed as (
    select
        team_id,
        github_username,
        {{ login_key('github_username') }} as login_key,
        allocation_weight,
        joined_at,
        left_at
    from source
)

select * from renamed
