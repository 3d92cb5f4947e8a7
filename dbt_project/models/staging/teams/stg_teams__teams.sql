-- A table: whatever lands while a build is under way, all of it sees the same.
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
