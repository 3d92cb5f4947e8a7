with

pull_requests as (
    select * from {{ ref('int_pull_requests_changed') }}
),

reviews as (
    select * from {{ ref('int_pull_requests_reviewed') }}
),

drafts as (
    select * from {{ ref('int_drafts_spanned') }}
),

milestones as (
    select
        pull_requests.pull_request_id,
        least(
            pull_requests.first_commit_at, pull_requests.created_at
        ) as work_started_at,
        pull_requests.created_at,
        reviews.first_review_at,
        coalesce(reviews.first_review_at, pull_requests.merged_at) as picked_up_at,
        pull_requests.merged_at
    from pull_requests
    left join reviews
        on pull_requests.pull_request_id = reviews.pull_request_id
),

clipped as (
    select
        drafts.pull_request_id,
        greatest(drafts.started_at, milestones.created_at) as started_at,
        milestones.picked_up_at,
        least(drafts.ended_at, milestones.merged_at) as ended_at
    from drafts
    inner join milestones
        on drafts.pull_request_id = milestones.pull_request_id
    where
        drafts.started_at < milestones.merged_at
        and drafts.ended_at > milestones.created_at
),

drafted as (
    select
        pull_request_id,
        sum(ended_at - started_at) as drafted,
        sum(
            greatest(least(ended_at, picked_up_at) - started_at, interval '0')
        ) as drafted_before_pickup,
        sum(
            greatest(ended_at - greatest(started_at, picked_up_at), interval '0')
        ) as drafted_after_pickup
    from clipped
    group by pull_request_id
),

durations as (
    select
        milestones.pull_request_id,
        milestones.first_review_at,
        milestones.merged_at is not null as is_merged,
        milestones.created_at - milestones.work_started_at as coding,
        coalesce(drafted.drafted, interval '0') as draft,
        milestones.picked_up_at - milestones.created_at
        - coalesce(drafted.drafted_before_pickup, interval '0') as pickup,
        milestones.merged_at - milestones.picked_up_at
        - coalesce(drafted.drafted_after_pickup, interval '0') as review,
        milestones.merged_at - milestones.work_started_at as total
    from milestones
    left join drafted on milestones.pull_request_id = drafted.pull_request_id
),

phased as (
    select
        pull_request_id,
        first_review_at,
        case when is_merged then {{ hours('coding') }} end as coding_hours,
        case when is_merged then {{ hours('draft') }} end as draft_hours,
        case when is_merged then {{ hours('pickup') }} end as pickup_hours,
        case when is_merged then {{ hours('review') }} end as review_hours,
        case when is_merged then {{ hours('total') }} end as total_hours
    from durations
)

select * from phased
