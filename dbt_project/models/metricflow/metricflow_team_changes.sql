with

attributions as (
    select * from {{ ref('fct_team_pull_requests') }}
    where team_id <> 'unassigned'
),

pull_requests as (
    select * from {{ ref('fct_pull_requests') }}
    where deployed_at is not null
),

joined as (
    select
        attributions.team_id,
        pull_requests.pull_request_id,
        (pull_requests.deployed_at at time zone '{{ reporting_timezone() }}')::date
            as deployed_on,
        pull_requests.change_lead_time_hours
    from attributions
    inner join pull_requests
        on attributions.pull_request_id = pull_requests.pull_request_id
)

select * from joined
