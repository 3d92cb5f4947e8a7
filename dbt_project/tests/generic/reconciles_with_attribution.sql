{#- A row of a team rollup counts what is attributed to the team and merged in its
    period, and no merge since `data_from` is without one. `weight_column` is left out
    where the rollup has none. -#}
{% test reconciles_with_attribution(model, column_name, weight_column=none) %}

with

rollup as (
    select
        team_id,
        {{ column_name }} as period,
        prs_merged,
        {{ weight_column or "null::numeric" }} as weighted_prs_merged
    from {{ model }}
),

attributed as (
    select
        team_id,
        {{ column_name }} as period,
        count(*) as prs_merged,
        sum(weight) as weighted_prs_merged,
        max(merged_at) as last_merged_at
    from {{ ref('fct_team_pull_requests') }}
    where merged_at is not null
    group by team_id, {{ column_name }}
),

-- The teams that have rows at all.
begun as (
    select memberships.team_id
    from {{ ref('dim_team_memberships') }} as memberships
    inner join {{ ref('dim_build') }} as build on memberships.joined_at <= build.as_of
    group by memberships.team_id
)

select
    rollup.*,
    attributed.*
from rollup
full outer join attributed
    on rollup.team_id = attributed.team_id and rollup.period = attributed.period
left join {{ ref('dim_build') }} as build on true
left join begun on attributed.team_id = begun.team_id
where
    rollup.prs_merged <> coalesce(attributed.prs_merged, 0)
    or rollup.weighted_prs_merged <> coalesce(attributed.weighted_prs_merged, 0)
    or (
        rollup.team_id is null
        and begun.team_id is not null
        and attributed.last_merged_at >= build.data_from
    )

{% endtest %}
