{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook=[
            "{{ set_work_mem() }}",
            "{{ expect_all_pull_requests() }}",
            "{{ delete_changed_rows() }}",
        ],
        indexes=[{'columns': ['pull_request_id']}],
        meta={'recomputed_if': 'has_new_rules'},
    )
}}

with

pull_requests as (
    select * from {{ ref('int_pull_requests_changed') }}
),

reviews as (
    select * from {{ ref('stg_github__reviews') }}
),

accounts as (
    select * from {{ ref('int_accounts_identified') }}
),

drafts as (
    select * from {{ ref('int_drafts_spanned') }}
),

spans as (
    select
        pull_request_id,
        author_id,
        author_login_key,
        author_person_id,
        created_at as opened_at,
        coalesce(
            case when state <> 'open' then coalesce(merged_at, closed_at) end,
            'infinity'
        ) as ended_at
    from pull_requests
),

counted as (
    select
        reviews.review_id,
        reviews.pull_request_id,
        coalesce(accounts.person_id, reviews.reviewer_account_id) as reviewer_id,
        reviews.reviewer_login as reviewer,
        reviews.state,
        spans.opened_at,
        reviews.submitted_at
    from spans
    inner join reviews
        on spans.pull_request_id = reviews.pull_request_id
        and reviews.submitted_at between spans.opened_at and spans.ended_at
    left join accounts on reviews.reviewer_account_id = accounts.account_id
    where
        reviews.state <> 'pending'
        and not reviews.is_by_bot
        -- Compared by id, or by login if an id is missing. A deleted reviewer has
        -- neither and counts as another person.
        and not coalesce(
            spans.author_id = reviews.reviewer_id,
            spans.author_login_key = reviews.reviewer_login_key,
            false
        )
        -- A review by another account of the author does not count.
        and not coalesce(accounts.person_id = spans.author_person_id, false)
),

drafted as (
    select
        counted.review_id,
        sum(
            least(drafts.ended_at, counted.submitted_at)
            - greatest(drafts.started_at, counted.opened_at)
        ) as drafted
    from counted
    inner join drafts
        on counted.pull_request_id = drafts.pull_request_id
        and counted.submitted_at > drafts.started_at
        and counted.opened_at < drafts.ended_at
    group by counted.review_id
),

timed as (
    select
        counted.review_id,
        counted.pull_request_id,
        counted.reviewer_id,
        counted.reviewer,
        counted.state,
        counted.submitted_at,
        row_number() over (
            partition by counted.pull_request_id
            order by counted.submitted_at, counted.review_id
        ) = 1 as is_first,
        counted.submitted_at - counted.opened_at
        - coalesce(drafted.drafted, interval '0') as time_to_review
    from counted
    left join drafted on counted.review_id = drafted.review_id
)

select
    review_id,
    pull_request_id,
    reviewer_id,
    reviewer,
    state,
    submitted_at,
    is_first,
    {{ hours('time_to_review') }} as hours_to_review
from timed
