with

pull_requests as (
    select * from {{ ref('int_pull_requests_tracked') }}
),

memberships as (
    select * from {{ ref('int_memberships_identified') }}
),

held as (
    select
        memberships.team_id,
        pull_requests.pull_request_id,
        -- Two logins of one person in one team would count the pull request twice.
        max(memberships.allocation_weight) as weight,
        pull_requests.attributed_at
    from pull_requests
    -- Half-open windows: a merge at the instant of a move counts once.
    inner join memberships
        on pull_requests.author_person_id = memberships.person_id
        and pull_requests.attributed_at >= memberships.joined_at
        and pull_requests.attributed_at
        < coalesce(memberships.left_at, 'infinity')
    group by
        memberships.team_id,
        pull_requests.pull_request_id,
        pull_requests.attributed_at
),

held_weights as (
    select
        pull_request_id,
        sum(weight) as total_weight
    from held
    group by pull_request_id
),

left_over as (
    select
        'unassigned' as team_id,
        pull_requests.pull_request_id,
        1 - coalesce(held_weights.total_weight, 0) as weight,
        pull_requests.attributed_at
    from pull_requests
    left join held_weights
        on pull_requests.pull_request_id = held_weights.pull_request_id
    where coalesce(held_weights.total_weight, 0) < 1
),

shares as (
    select * from held
    union all
    select * from left_over
),

attributed as (
    select
        team_id,
        pull_request_id,
        weight::numeric(3, 2) as weight,
        attributed_at
    from shares
)

select * from attributed
