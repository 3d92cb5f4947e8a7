with

pull_requests as (
    select
        *,
        coalesce(
            case when state <> 'open' then coalesce(merged_at, closed_at) end,
            'infinity'
        ) as open_until
    from {{ ref('int_pull_requests_tracked') }}
),

reviews as (
    select * from {{ ref('stg_github__reviews') }}
),

reviewed as (
    select
        pull_requests.pull_request_id,
        min(reviews.submitted_at) as first_review_at
    from pull_requests
    inner join reviews
        on
        pull_requests.pull_request_id = reviews.pull_request_id
        and reviews.submitted_at between
        pull_requests.created_at and pull_requests.open_until
    where
        reviews.state <> 'pending'
        and not reviews.is_by_bot
        -- Ids decide who is the author, logins where an id is missing. A deleted
        -- reviewer has neither, and is somebody else.
        and not coalesce(
            pull_requests.author_id = reviews.reviewer_id,
            pull_requests.author_login_key = reviews.reviewer_login_key,
            false
        )
    group by pull_requests.pull_request_id
)

select * from reviewed
