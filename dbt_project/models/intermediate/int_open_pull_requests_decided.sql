with

pull_requests as (
    select * from {{ ref('int_pull_requests_tracked') }}
    where state = 'open'
),

reviews as (
    select * from {{ ref('int_reviews_counted') }}
),

-- With the decision that each one replaces: the one before it by the same reviewer.
decisions as (
    select
        reviews.pull_request_id,
        reviews.review_id,
        reviews.submitted_at,
        reviews.state = 'changes_requested' as is_request,
        coalesce(
            lag(reviews.state = 'changes_requested') over (
                partition by reviews.pull_request_id, reviews.reviewer_id
                order by reviews.submitted_at, reviews.review_id
            ),
            false
        ) as replaces_request
    from pull_requests
    inner join reviews
        on pull_requests.pull_request_id = reviews.pull_request_id
    where reviews.state in ('approved', 'changes_requested')
),

-- After each decision, whether the last one of some reviewer is a request for changes.
counted as (
    select
        pull_request_id,
        review_id,
        submitted_at,
        sum(is_request::int - replaces_request::int) over (
            partition by pull_request_id
            order by submitted_at, review_id
        ) > 0 as is_requested
    from decisions
),

compared as (
    select
        pull_request_id,
        review_id,
        submitted_at,
        case when is_requested then 'changes_requested' else 'approved' end as status,
        coalesce(
            is_requested <> lag(is_requested) over (
                partition by pull_request_id
                order by submitted_at, review_id
            ),
            true
        ) as is_change
    from counted
),

decided as (
    select distinct on (pull_request_id)
        pull_request_id,
        status,
        submitted_at as decided_at
    from compared
    where is_change
    order by pull_request_id asc, submitted_at desc, review_id desc
)

select * from decided
