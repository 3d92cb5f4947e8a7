with

teams as (
    select * from {{ ref('stg_teams__teams') }}
),

described as (
    select
        team_id,
        team_name,
        description
    from teams
)

select * from described
