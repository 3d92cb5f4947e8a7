-- The pull requests whose deliveries are computed anew: those that have changed, and
-- all of a repository in which something else has.
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
