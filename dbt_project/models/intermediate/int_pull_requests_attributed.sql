{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='pull_request_id',
        pre_hook="{{ set_work_mem() }}",
        indexes=[
            {'columns': ['pull_request_id']},
            {'columns': ['team_id', 'merged_at']},
            {'columns': ['team_id', 'month', 'week']},
        ],
        meta={'recomputed_if': 'has_new_memberships'},
    )
}}
{%- set timezone = reporting_timezone() %}
{#- The summed durations are stored with the weight, so that sums need no join. #}
{%- set durations = [
    'cycle_time_hours', 'coding_hours', 'draft_hours', 'pickup_hours', 'review_hours'
] %}

with

tracked as (
    select * from {{ ref('int_pull_requests_tracked') }}
),

memberships as (
    select * from {{ ref('int_memberships_identified') }}
),

team_groups as (
    select * from {{ ref('int_team_groups_listed') }}
),

pull_requests as (
    select *
    from tracked
    where
        excluded_by is null
        and (
            not {{ is_incremental() | lower }}
            or {{ is_changed('pull_request_id', ref('int_pull_requests_changed')) }}
        )
),

-- With team_id null if the author is in no team at that instant.
held as (
    select
        memberships.team_id,
        pull_requests.pull_request_id,
        pull_requests.author_id,
        -- Two logins of one person in one team would count the pull request twice.
        max(memberships.allocation_weight) as weight,
        pull_requests.attributed_at,
        pull_requests.merged_at,
        {{ durations | join(", ") }}
    from pull_requests
    -- Half-open windows: a merge at the instant of a change of team counts once.
    left join memberships
        on pull_requests.author_id = memberships.person_id
        and pull_requests.attributed_at >= memberships.joined_at
        and pull_requests.attributed_at
        < coalesce(memberships.left_at, 'infinity')
    group by
        memberships.team_id,
        pull_requests.pull_request_id,
        pull_requests.author_id,
        pull_requests.attributed_at,
        pull_requests.merged_at,
        {{ durations | join(", ") }}
),

left_over as (
    select
        'unassigned' as team_id,
        pull_request_id,
        author_id,
        1 - coalesce(sum(weight), 0) as weight,
        attributed_at,
        merged_at,
        {{ durations | join(", ") }}
    from held
    group by
        pull_request_id,
        author_id,
        attributed_at,
        merged_at,
        {{ durations | join(", ") }}
    having coalesce(sum(weight), 0) < 1
),

-- Once per group, even if the author is in several of its teams.
grouped as (
    select
        team_groups.group_id as team_id,
        held.pull_request_id,
        held.author_id,
        least(sum(held.weight), 1) as weight,
        held.attributed_at,
        held.merged_at,
        held.{{ durations | join(", held.") }}
    from held
    inner join team_groups
        on held.team_id = team_groups.team_id
        and held.attributed_at >= team_groups.joined_at
        and held.attributed_at < team_groups.left_at
    group by
        team_groups.group_id,
        held.pull_request_id,
        held.author_id,
        held.attributed_at,
        held.merged_at,
        held.{{ durations | join(", held.") }}
),

shares as (
    select
        *,
        false as is_group
    from held
    where team_id is not null
    union all
    select
        *,
        false as is_group
    from left_over
    union all
    select
        *,
        true as is_group
    from grouped
),

attributed as (
    select
        team_id,
        is_group,
        pull_request_id,
        author_id,
        weight::numeric(3, 2) as weight,
        attributed_at,
        merged_at,
        {{ period_of('merged_at', 'week', timezone) }} as week,
        {{ period_of('merged_at', 'month', timezone) }} as month,
        true as is_current,
        {{ durations | join(", ") }}
    from shares
),

-- The periods that counted the changed pull requests before and no longer do.
former as (
    select
        team_id,
        is_group,
        pull_request_id,
        week,
        month
    from {{ this if is_incremental() else 'attributed' }}
    where
        {{ is_incremental() | lower }}
        and {{ is_changed('pull_request_id', ref('int_pull_requests_changed')) }}
    except
    select
        team_id,
        is_group,
        pull_request_id,
        week,
        month
    from attributed
)

select * from attributed
union all
select
    team_id,
    is_group,
    pull_request_id,
    null as author_id,
    null::numeric(3, 2) as weight,
    null as attributed_at,
    null as merged_at,
    week,
    month,
    false as is_current,
    null as {{ durations | join(", null as ") }}
from former
