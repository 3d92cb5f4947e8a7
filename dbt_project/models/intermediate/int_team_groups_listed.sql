with

teams as (
    select * from {{ ref('stg_teams__teams') }}
),

configured as (
    select * from {{ ref('stg_teams__groups') }}
),

listed as (
    select
        team_id,
        group_id,
        group_name,
        parent_group_id,
        joined_at,
        coalesce(left_at, 'infinity') as left_at
    from configured
    union all
    select
        team_id,
        'all' as group_id,
        'All teams' as group_name,
        null as parent_group_id,
        '-infinity'::timestamptz as joined_at,
        'infinity'::timestamptz as left_at
    from teams
)

select * from listed
