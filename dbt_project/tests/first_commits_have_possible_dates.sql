-- Warns about impossible dates, because they do not count for work_started_at.
{{ config(severity='warn') }}

with

pull_requests as (
    select * from {{ audited(ref('stg_github__pull_requests')) }} as audited
),

tracked as (
    select * from {{ ref('int_pull_requests_tracked') }}
)

select
    tracked.repository,
    tracked.number,
    tracked.created_at,
    tracked.merged_at,
    pull_requests.first_commit_dated_at
from pull_requests
inner join tracked on pull_requests.pull_request_id = tracked.pull_request_id
where
    pull_requests.first_commit_dated_at is not null
    and pull_requests.first_commit_at is null
