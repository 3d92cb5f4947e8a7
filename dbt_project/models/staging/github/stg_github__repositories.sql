-- A table, so that the whole build reads the same rows even if an ingest runs
-- meanwhile.
{{ config(materialized='table') }}

with

source as (
    select * from {{ source('github', 'repositories') }}
),

renamed as (
    select
        id as repository_id,
        repository as repository_name,
        default_branch,
        is_configured,
        unreachable_since is null as is_reachable,
        covered_from,
        covered_to
    from source
)

select * from renamed
