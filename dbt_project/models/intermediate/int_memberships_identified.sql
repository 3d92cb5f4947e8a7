-- A table: what one build is made with.
{{ config(materialized='table') }}

with

memberships as (
    select * from {{ ref('stg_teams__memberships') }}
),

logins as (
    select * from {{ ref('int_logins_identified') }}
),

-- A login that GitHub has given to a second person holds for both; one that nobody
-- was seen with holds for no one yet.
identified as (
    select
        memberships.team_id,
        logins.person_id,
        memberships.github_username,
        memberships.login_key,
        memberships.allocation_weight,
        memberships.joined_at,
        memberships.left_at
    from memberships
    inner join logins on memberships.login_key = logins.login_key
)

select * from identified
