-- A table, so that the whole build reads the same rows.
{{ config(materialized='table') }}

with

listed as (
    select * from {{ ref('int_member_logins_listed') }}
),

logins as (
    select * from {{ ref('int_logins_identified') }}
),

accounts as (
    select
        listed.member_login_key,
        logins.account_id,
        listed.login_key = listed.member_login_key as is_main
    from listed
    inner join logins on listed.login_key = logins.login_key
),

-- Members with `also`, each under one id: the id of the main login's account, or the
-- login itself.
joined as (
    select
        member_login_key,
        coalesce(
            min(account_id) filter (
                where is_main
                and account_id <> {{ person_id('null', 'member_login_key') }}
            ),
            {{ person_id('null', 'member_login_key') }}
        ) as person_id
    from accounts
    group by member_login_key
    having not bool_and(is_main)
),

-- Two entries can name one account, by a former login and by the current one.
identified as (
    select
        accounts.account_id,
        coalesce(min(joined.person_id), accounts.account_id) as person_id
    from accounts
    left join joined on accounts.member_login_key = joined.member_login_key
    group by accounts.account_id
)

select * from identified
