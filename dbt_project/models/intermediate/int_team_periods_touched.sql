-- fct_team_pull_requests adds to it, by the macro note_touched_periods, and the rollups
-- clear away what they have done. Where it is made anew, nobody knows what is touched.
{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        full_refresh=false,
    )
}}

select
    unit,
    null::text as team_id,
    null::date as period
from (values ('week'), ('month')) as units (unit)
{%- if is_incremental() %}
where false
{%- endif %}
