with

memberships as (
    select * from {{ ref('stg_teams__memberships') }}
),

also as (
    select
        memberships.login_key as member_login_key,
        {{ login_key('logins.login') }} as login_key
    from memberships
    cross join lateral string_to_table(memberships.also, ',') as logins (login)
),

listed as (
    select
        login_key as member_login_key,
        login_key
    from memberships
    union
    select
        member_login_key,
        login_key
    from also
)

select * from listed
