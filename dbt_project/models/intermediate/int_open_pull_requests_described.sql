{{ config(materialized='table') }}

with

build as (
    select * from {{ ref('int_build_described') }}
),

pull_requests as (
    select * from {{ ref('int_pull_requests_tracked') }}
    where state = 'open' and excluded_by is null
),

draft_events as (
    select * from {{ ref('stg_github__draft_events') }}
),

reviewed as (
    select * from {{ ref('int_open_pull_requests_reviewed') }}
),

decided as (
    select * from {{ ref('int_open_pull_requests_decided') }}
),

switched as (
    select
        draft_events.pull_request_id,
        max(draft_events.switched_at) as last_switched_at
    from pull_requests
    inner join draft_events
        on pull_requests.pull_request_id = draft_events.pull_request_id
    group by draft_events.pull_request_id
),

dated as (
    select
        pull_requests.pull_request_id,
        case
            when pull_requests.is_draft then 'draft'
            else coalesce(decided.status, 'waiting_for_review')
        end as status,
        case
            when pull_requests.is_draft
                then greatest(pull_requests.created_at, switched.last_switched_at)
            -- GitHub does not say when a review was dismissed.
            when reviewed.has_dismissal is not true
                then greatest(
                        pull_requests.created_at,
                        switched.last_switched_at,
                        decided.decided_at
                    )
        end as status_since,
        pull_requests.created_at,
        coalesce(reviewed.reviews, 0) as reviews,
        coalesce(reviewed.reviewers, 0) as reviewers
    from pull_requests
    left join switched
        on pull_requests.pull_request_id = switched.pull_request_id
    left join reviewed
        on pull_requests.pull_request_id = reviewed.pull_request_id
    left join decided
        on pull_requests.pull_request_id = decided.pull_request_id
),

described as (
    select
        dated.pull_request_id,
        dated.status,
        dated.status_since,
        -- Some repositories may be loaded further than `as_of`.
        {{ hours("greatest(build.as_of - dated.created_at, '0')") }} as age_hours,
        case
            when dated.status_since is not null
                then {{ hours("greatest(build.as_of - dated.status_since, '0')") }}
        end as waiting_hours,
        dated.reviews,
        dated.reviewers
    from dated
    inner join build on build.as_of is not null
)

select * from described
