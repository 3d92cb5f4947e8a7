select
    group_id,
    min(group_name) as group_name,
    min(parent_group_id) as parent_group_id
from {{ ref('int_team_groups_listed') }}
group by group_id
