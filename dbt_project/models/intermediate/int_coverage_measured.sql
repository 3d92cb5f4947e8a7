with

repositories as (
    select * from {{ ref('stg_github__repositories') }}
),

pull_requests as (
    select * from {{ ref('stg_github__pull_requests') }}
),

oldest as (
    select
        repository_id,
        min(created_at) as oldest_created_at
    from pull_requests
    where vanished_at is null
    group by repository_id
),

measured as (
    select
        min(repositories.covered_to) as as_of,
        max(repositories.covered_from) as history_from,
        min(coalesce(repositories.covered_from, oldest.oldest_created_at)) as data_from
    from repositories
    left join oldest on repositories.repository_id = oldest.repository_id
    where
        repositories.is_configured
        and repositories.is_reachable
        -- Before its first walk nothing of a repository is covered: a null
        -- covered_from would not mean that its whole history is loaded.
        and repositories.covered_to is not null
)

select * from measured
