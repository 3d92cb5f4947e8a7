with

teams as (
    select * from {{ ref('stg_teams__teams') }}
)

select
    team_id,
    team_name,
    description
from teams
