with

source as (
    select * from {{ source('github', 'pull_requests') }}
),

measured as (
    select
        '{{ source("github", "pull_requests") }}'::regclass::oid::text as table_id,
        coalesce(max(change_number), 0) as last_change_number
    from source
)

select * from measured
