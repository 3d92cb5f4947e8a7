-- Created empty; the macro `publish` keeps one row in it. Unlogged like the tables that
-- it describes: after a server crash all are empty and the next build computes
-- everything.
{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        full_refresh=false,
        on_schema_change='append_new_columns',
    )
}}

select
    null::text as build_id,
    null::bigint as change_number,
    null::text as rules_hash,
    null::text as memberships_hash,
    null::text as repositories_hash,
    null::jsonb as delivery_hashes,
    null::timestamptz as audited_at
where false
