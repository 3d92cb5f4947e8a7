-- A table, so that the whole build reads the same rows even if an ingest runs
-- meanwhile.
{{ config(materialized='table') }}

with

source as (
    select * from {{ source('teams', 'teams') }}
),

renamed as (
    select
        team_id,
        name as team_name,
        description
    from source
)

select * from renamed
