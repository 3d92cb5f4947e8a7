-- No CTE, for the reason that stg_github__pull_requests gives.
select
    id as review_id,
    pull_request_id,
    author_id as reviewer_id,
    author_login as reviewer_login,
    {{ person_id('author_id', 'author_login') }} as reviewer_account_id,
    {{ login_key('author_login') }} as reviewer_login_key,
    coalesce(author_type = 'Bot', false)
    or {{ is_automation('author_login') }} as is_by_bot,
    {{ lower_ascii('state') }} as state,
    submitted_at
from {{ source('github', 'pull_request_reviews') }}
