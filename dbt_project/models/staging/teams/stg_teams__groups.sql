-- A table, so that the whole build reads the same rows even if an ingest runs
-- meanwhile.
{{ config(materialized='table') }}

with

source as (
    select * from {{ source('teams', 'team_groups') }}
),

-- Read earlier, so the groups of a team added since then are left out.
teams as (
    select * from {{ ref('stg_teams__teams') }}
),

renamed as (
    select
        source.team_id,
        source.group_id,
        source.name as group_name,
        source.parent_group_id,
        coalesce(source.joined_at, '-infinity') as joined_at,
        source.left_at
    from source
    inner join teams on source.team_id = teams.team_id
)

select * from renamed
