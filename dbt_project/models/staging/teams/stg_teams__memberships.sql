-- A table: whatever lands while a build is under way, all of it sees the same.
{{ config(materialized='table') }}

with

source as (
    select * from {{ source('teams', 'team_memberships') }}
),

-- Read before: of a team that has come since there is nothing yet.
teams as (
    select * from {{ ref('stg_teams__teams') }}
),

renamed as (
    select
        source.team_id,
        source.github_username,
        {{ login_key('source.github_username') }} as login_key,
        source.allocation_weight,
        source.joined_at,
        source.left_at,
        source.also
    from source
    inner join teams on source.team_id = teams.team_id
)

select * from renamed
