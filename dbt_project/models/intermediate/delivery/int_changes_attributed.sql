{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='pull_request_id',
        pre_hook="{{ set_work_mem() }}",
        indexes=[
            {'columns': ['pull_request_id']},
            {'columns': ['team_id', 'month', 'week']},
        ],
        meta={'recomputed_if': 'has_new_memberships'},
    )
}}
{%- set timezone = reporting_timezone() %}

with

delivered as (
    select * from {{ ref('int_changes_delivered') }}
    where
        deployed_at is not null
        and {{ is_recomputed() }}
),

attributions as (
    select * from {{ ref('int_pull_requests_attributed') }}
    where is_current and team_id <> 'unassigned'
),

attributed as (
    select
        attributions.team_id,
        delivered.pull_request_id,
        attributions.weight,
        {{ period_of('delivered.deployed_at', 'week', timezone) }} as week,
        {{ period_of('delivered.deployed_at', 'month', timezone) }} as month,
        delivered.change_lead_time_hours,
        delivered.deploy_hours,
        delivered.has_stages,
        delivered.coding_hours,
        delivered.draft_hours,
        delivered.pickup_hours,
        delivered.review_hours,
        true as is_current
    from delivered
    inner join attributions
        on delivered.pull_request_id = attributions.pull_request_id
),

-- The periods that counted them before and no longer do.
former as (
    select
        team_id,
        pull_request_id,
        week,
        month
    from {{ this if is_incremental() else 'attributed' }}
    where
        {{ is_incremental() | lower }}
        and {{ is_recomputed() }}
    except
    select
        team_id,
        pull_request_id,
        week,
        month
    from attributed
)

select * from attributed
union all
select
    team_id,
    pull_request_id,
    null as weight,
    week,
    month,
    null as change_lead_time_hours,
    null as deploy_hours,
    null as has_stages,
    null as coding_hours,
    null as draft_hours,
    null as pickup_hours,
    null as review_hours,
    false as is_current
from former
