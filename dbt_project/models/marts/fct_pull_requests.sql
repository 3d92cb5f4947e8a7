{{
    config(
        indexes=[{'columns': ['author']}, {'columns': ['merged_at']}],
        meta={'changed_by': 'pull_request_id', 'joined_with': 'int_changes_delivered'},
    )
}}

select
    tracked.pull_request_id,
    tracked.repository,
    tracked.number,
    tracked.title,
    tracked.url,
    tracked.author,
    tracked.author_id,
    tracked.state,
    tracked.is_draft,
    tracked.labels,
    tracked.created_at,
    tracked.updated_at,
    tracked.closed_at,
    tracked.merged_at,
    tracked.attributed_at,
    tracked.first_commit_at,
    tracked.work_started_at,
    tracked.first_review_at,
    tracked.cycle_time_hours,
    tracked.coding_hours,
    tracked.draft_hours,
    tracked.pickup_hours,
    tracked.review_hours,
    tracked.total_hours,
    tracked.additions,
    tracked.deletions,
    tracked.size,
    tracked.changed_files,
    tracked.commits,
    tracked.base_ref,
    tracked.head_ref,
    tracked.merged_by,
    tracked.is_bot,
    tracked.excluded_by,
    delivered.deployed_at,
    delivered.deployment_id,
    delivered.change_lead_time_hours,
    delivered.deploy_hours,
    delivered.not_deployed_reason
from {{ ref('int_pull_requests_tracked') }} as tracked
left join {{ ref('int_changes_delivered') }} as delivered
    on tracked.pull_request_id = delivered.pull_request_id
