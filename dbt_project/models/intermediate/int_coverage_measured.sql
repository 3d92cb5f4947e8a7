{{ config(materialized='table') }}

with

repositories as (
    select * from {{ ref('stg_github__repositories') }}
),

pull_requests as (
    select * from {{ ref('int_pull_requests_measured') }}
),

counted as (
    select *
    from repositories
    where
        is_configured
        and is_reachable
        -- Before the first load nothing of a repository is covered, and a null
        -- covered_from does not mean that its whole history is loaded.
        and covered_to is not null
),

measured as (
    select
        min(counted.covered_to) as as_of,
        max(counted.covered_from) as history_from,
        min(coalesce(counted.covered_from, oldest.created_at)) as data_from
    from counted
    -- One index lookup per repository instead of a scan of all pull requests.
    left join lateral (
        select min(pull_requests.created_at) as created_at
        from pull_requests
        where
            pull_requests.repository_id = counted.repository_id
            and pull_requests.vanished_at is null
    ) as oldest on true
)

select * from measured
