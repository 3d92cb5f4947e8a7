with

touched as (
    select * from {{ ref('int_pull_requests_touched') }}
),

pull_requests as (
    select fct_pull_requests.*
    from {{ ref('fct_pull_requests') }} as fct_pull_requests
    inner join touched
        on fct_pull_requests.pull_request_id = touched.pull_request_id
),

memberships as (
    select * from {{ ref('int_memberships_identified') }}
),

-- With team_id null where no window of the author's holds.
held as (
    select
        memberships.team_id,
        pull_requests.pull_request_id,
        -- Two logins of one person in one team would count the pull request twice.
        max(memberships.allocation_weight) as weight,
        pull_requests.attributed_at,
        pull_requests.merged_at
    from pull_requests
    -- Half-open windows: a merge at the instant of a move counts once.
    left join memberships
        on pull_requests.author_id = memberships.person_id
        and pull_requests.attributed_at >= memberships.joined_at
        and pull_requests.attributed_at
        < coalesce(memberships.left_at, 'infinity')
    group by
        memberships.team_id,
        pull_requests.pull_request_id,
        pull_requests.attributed_at,
        pull_requests.merged_at
),

left_over as (
    select
        'unassigned' as team_id,
        pull_request_id,
        1 - coalesce(sum(weight), 0) as weight,
        attributed_at,
        merged_at
    from held
    group by pull_request_id, attributed_at, merged_at
    having coalesce(sum(weight), 0) < 1
),

shares as (
    select * from held
    where team_id is not null
    union all
    select * from left_over
),

attributed as (
    select
        team_id,
        pull_request_id,
        weight::numeric(3, 2) as weight,
        attributed_at,
        merged_at
    from shares
)

select * from attributed
