-- The weights of a tracked pull request add up to 1, or to more if the memberships'
-- weights do. An excluded pull request has no weights.
with

pull_requests as (
    select * from {{ audited(ref('int_pull_requests_tracked')) }} as audited
),

attributions as (
    select * from {{ audited(ref('int_pull_requests_attributed')) }} as audited
    where is_current
),

shared as (
    select
        pull_requests.pull_request_id,
        pull_requests.excluded_by,
        coalesce(sum(attributions.weight), 0) as total_weight,
        coalesce(
            sum(attributions.weight) filter (
                where attributions.team_id <> 'unassigned'
            ), 0
        ) as team_weight
    from pull_requests
    left join attributions
        on pull_requests.pull_request_id = attributions.pull_request_id
    group by pull_requests.pull_request_id, pull_requests.excluded_by
)

select *
from shared
where
    total_weight
    <> case when excluded_by is null then greatest(1, team_weight) else 0 end
