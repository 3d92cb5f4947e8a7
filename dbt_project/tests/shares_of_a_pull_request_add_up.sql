-- A tracked pull request is shared out whole: 1, or more where the weights say so.
with

pull_requests as (
    select * from {{ ref('fct_pull_requests') }}
),

attributions as (
    select * from {{ ref('fct_team_pull_requests') }}
),

shared as (
    select
        pull_requests.pull_request_id,
        coalesce(sum(attributions.weight), 0) as total_weight,
        coalesce(
            sum(attributions.weight) filter (
                where attributions.team_id <> 'unassigned'
            ), 0
        ) as team_weight
    from pull_requests
    left join attributions
        on pull_requests.pull_request_id = attributions.pull_request_id
    group by pull_requests.pull_request_id
)

select *
from shared
where total_weight <> greatest(1, team_weight)
