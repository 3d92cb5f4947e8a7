with

pull_requests as (
    select * from {{ ref('int_pull_requests_tracked') }}
    where state = 'open'
),

reviews as (
    select * from {{ ref('int_reviews_counted') }}
),

-- All deleted reviewers are one, because nothing tells them apart.
reviewers as (
    select
        reviews.pull_request_id,
        reviews.reviewer_id,
        count(*) as reviews,
        (
            array_agg(
                reviews.state
                order by reviews.submitted_at desc, reviews.review_id desc
            ) filter (where reviews.state <> 'commented')
        )[1] as last_verdict
    from pull_requests
    inner join reviews
        on pull_requests.pull_request_id = reviews.pull_request_id
    group by reviews.pull_request_id, reviews.reviewer_id
),

reviewed as (
    select
        pull_request_id,
        sum(reviews)::bigint as reviews,
        count(*) as reviewers,
        coalesce(bool_or(last_verdict = 'dismissed'), false) as has_dismissal
    from reviewers
    group by pull_request_id
)

select * from reviewed
