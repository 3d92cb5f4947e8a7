with

pull_requests as (
    select * from {{ ref('int_pull_requests_changed') }}
),

reviews as (
    select * from {{ ref('int_reviews_counted') }}
),

reviewed as (
    select
        pull_requests.pull_request_id,
        min(reviews.submitted_at) as first_review_at
    from pull_requests
    inner join reviews
        on pull_requests.pull_request_id = reviews.pull_request_id
    group by pull_requests.pull_request_id
)

select * from reviewed
