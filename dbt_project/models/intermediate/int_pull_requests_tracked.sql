with

pull_requests as (
    select * from {{ ref('int_pull_requests_measured') }}
),

repositories as (
    select * from {{ ref('stg_github__repositories') }}
),

accounts as (
    select * from {{ ref('int_accounts_identified') }}
),

tracked as (
    select
        pull_requests.pull_request_id,
        -- The name in the row dates from its last change; a rename does not update it.
        coalesce(
            repositories.repository_name, pull_requests.repository_name
        ) as repository,
        pull_requests.number,
        pull_requests.title,
        pull_requests.url,
        pull_requests.author_login as author,
        accounts.person_id as author_id,
        pull_requests.state,
        pull_requests.is_draft,
        pull_requests.labels,
        pull_requests.created_at,
        pull_requests.updated_at,
        pull_requests.closed_at,
        pull_requests.merged_at,
        pull_requests.attributed_at,
        pull_requests.first_commit_at,
        pull_requests.work_started_at,
        pull_requests.first_review_at,
        pull_requests.cycle_time_hours,
        pull_requests.coding_hours,
        pull_requests.draft_hours,
        pull_requests.pickup_hours,
        pull_requests.review_hours,
        pull_requests.total_hours,
        pull_requests.additions,
        pull_requests.deletions,
        pull_requests.size,
        pull_requests.changed_files,
        pull_requests.commits,
        pull_requests.base_ref,
        pull_requests.head_ref,
        pull_requests.merged_by_login as merged_by,
        pull_requests.is_by_bot as is_bot,
        pull_requests.excluded_by
    from pull_requests
    inner join accounts on pull_requests.author_account_id = accounts.account_id
    left join repositories
        on pull_requests.repository_id = repositories.repository_id
    where pull_requests.vanished_at is null
)

select * from tracked
