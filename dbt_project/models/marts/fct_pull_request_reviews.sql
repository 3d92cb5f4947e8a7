{{
    config(
        indexes=[{'columns': ['pull_request_id']}],
        meta={'changed_by': 'pull_request_id'},
    )
}}

select
    reviews.review_id,
    reviews.pull_request_id,
    reviews.reviewer_id,
    reviews.reviewer,
    reviews.state,
    reviews.submitted_at,
    reviews.is_first,
    reviews.hours_to_review
from {{ ref('int_reviews_counted') }} as reviews
inner join {{ ref('int_pull_requests_tracked') }} as tracked
    on reviews.pull_request_id = tracked.pull_request_id
