{#- A row of a rollup counts exactly the pull requests attributed to the team or group
    and merged in its period, and every merge since `data_from` has a row.
    `weight_column` is optional. Unless everything is audited, only the periods of changed pull requests
    are tested. -#}
{% test reconciles_with_attribution(model, column_name, weight_column=none) %}

with

changed as (
    select
        team_id,
        {{ column_name }} as period
    from {{ audited(ref('int_pull_requests_attributed')) }} as audited
    where {{ column_name }} is not null
    group by team_id, {{ column_name }}
),

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
        changed.team_id,
        changed.period,
        count(attributions.pull_request_id) as prs_merged,
        coalesce(sum(attributions.weight), 0) as weighted_prs_merged,
        max(attributions.merged_at) as last_merged_at
    from changed
    left join {{ ref('int_pull_requests_attributed') }} as attributions
        on changed.team_id = attributions.team_id
        and changed.period = attributions.{{ column_name }}
        -- Allows the use of the index on months.
        and attributions.month
        between date_trunc('month', changed.period)::date and changed.period + 6
        and attributions.is_current
    group by changed.team_id, changed.period
),

-- The teams and groups that have rows.
begun as (
    select memberships.team_id
    from {{ ref('int_memberships_grouped') }} as memberships
    inner join {{ ref('int_coverage_measured') }} as coverage
        on memberships.joined_at <= coverage.as_of
    group by memberships.team_id
)

select
    rollup.*,
    attributed.*
from rollup
full outer join attributed
    on rollup.team_id = attributed.team_id and rollup.period = attributed.period
left join {{ ref('int_coverage_measured') }} as coverage on true
left join begun on attributed.team_id = begun.team_id
where
    (
        rollup.prs_merged <> coalesce(attributed.prs_merged, 0)
        or rollup.weighted_prs_merged <> coalesce(attributed.weighted_prs_merged, 0)
        or (
            rollup.team_id is null
            and begun.team_id is not null
            and attributed.last_merged_at >= coverage.data_from
        )
    )
    {%- if not is_whole_audit() %}
    and attributed.team_id is not null
    {%- endif %}

{% endtest %}
