-- A table, so that the whole build reads the same rows even if an ingest runs
-- meanwhile.
{{ config(materialized='table') }}

with

source as (
    select * from {{ source('teams', 'team_memberships') }}
),

-- Read earlier, so the memberships of a team added since then are left out.
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
