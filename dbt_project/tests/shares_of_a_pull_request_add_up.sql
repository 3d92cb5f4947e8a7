-- The weights of a tracked pull request add up to 1 over the teams and `unassigned`, or
-- to more if the memberships' weights do. In a group it has the sum of the weights in
-- its teams, at most 1: in `all` that of every team. An excluded pull request has no
-- weights.
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
        coalesce(
            sum(attributions.weight) filter (where not attributions.is_group), 0
        ) as total_weight,
        coalesce(
            sum(attributions.weight) filter (
                where not attributions.is_group and attributions.team_id <> 'unassigned'
            ), 0
        ) as team_weight,
        coalesce(
            max(attributions.weight) filter (where attributions.team_id = 'all'), 0
        ) as weight_in_all,
        coalesce(
            max(attributions.weight) filter (where attributions.is_group), 0
        ) as largest_weight_in_a_group
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
    or weight_in_all <> least(1, team_weight)
    or largest_weight_in_a_group <> weight_in_all
