-- The pull requests whose deliveries are recomputed: the changed ones, and all of a
-- repository whose other delivery data has changed.
{{
    config(
        materialized='table',
        indexes=[{'columns': ['pull_request_id'], 'unique': true}],
    )
}}

with

compared as (
    select * from {{ ref('int_deliveries_compared') }}
    where is_due
),

measured as (
    select * from {{ ref('int_pull_requests_measured') }}
),

changed as (
    select * from {{ ref('int_pull_requests_changed') }}
),

due as (
    select pull_request_id
    from changed
    union
    select measured.pull_request_id
    from measured
    inner join compared on measured.repository_id = compared.repository_id
)

select * from due
