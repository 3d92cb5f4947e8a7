with

team_groups as (
    select * from {{ ref('int_team_groups_listed') }}
),

coverage as (
    select * from {{ ref('int_coverage_measured') }}
),

joined as (
    select
        team_groups.group_id,
        team_groups.team_id,
        coalesce(
            bool_or(
                coverage.as_of >= team_groups.joined_at
                and coverage.as_of < team_groups.left_at
            ), false
        ) as is_current
    from team_groups
    cross join coverage
    group by team_groups.group_id, team_groups.team_id
)

select * from joined
