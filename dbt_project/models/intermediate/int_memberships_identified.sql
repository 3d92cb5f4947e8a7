-- A table, so that the whole build reads the same rows.
{{ config(materialized='table') }}

with

memberships as (
    select * from {{ ref('stg_teams__memberships') }}
),

logins as (
    select * from {{ ref('int_logins_identified') }}
),

accounts as (
    select * from {{ ref('int_accounts_identified') }}
),

people as (
    select
        logins.login_key,
        accounts.person_id
    from logins
    inner join accounts on logins.account_id = accounts.account_id
    group by logins.login_key, accounts.person_id
),

identified as (
    select
        memberships.team_id,
        people.person_id,
        memberships.github_username,
        memberships.login_key,
        memberships.allocation_weight,
        memberships.joined_at,
        memberships.left_at
    from memberships
    inner join people on memberships.login_key = people.login_key
)

select * from identified
