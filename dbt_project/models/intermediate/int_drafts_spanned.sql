with

-- Not materialized, because each use reads only two columns.
pull_requests as not materialized (
    select * from {{ ref('int_pull_requests_changed') }}
),

draft_events as (
    select * from {{ ref('stg_github__draft_events') }}
),

switches as (
    select
        draft_events.pull_request_id,
        draft_events.is_to_draft,
        draft_events.switched_at,
        row_number() over in_order as switch_number,
        lead(draft_events.switched_at) over in_order as next_switched_at
    from draft_events
    inner join pull_requests
        on draft_events.pull_request_id = pull_requests.pull_request_id
    window
        in_order as (
            partition by draft_events.pull_request_id
            order by draft_events.switched_at, draft_events.position
        )
),

spans as (
    select
        pull_request_id,
        switched_at as started_at,
        coalesce(next_switched_at, 'infinity') as ended_at
    from switches
    where is_to_draft and switched_at < coalesce(next_switched_at, 'infinity')
    union all
    -- If the first event makes it ready, it was a draft until then.
    select
        pull_request_id,
        '-infinity' as started_at,
        switched_at as ended_at
    from switches
    where switch_number = 1 and not is_to_draft
    union all
    select
        pull_requests.pull_request_id,
        '-infinity' as started_at,
        'infinity' as ended_at
    from pull_requests
    left join switches
        on pull_requests.pull_request_id = switches.pull_request_id
    where pull_requests.is_draft and switches.pull_request_id is null
)

select * from spans
