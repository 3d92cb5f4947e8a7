with

user_logins as (
    select * from {{ ref('stg_github__user_logins') }}
),

memberships as (
    select * from {{ ref('stg_teams__memberships') }}
),

-- The ingest keeps every login that it sees with an id, which are few; a login without
-- one stands for itself.
identified as (
    select
        person_id,
        login_key
    from user_logins
    union
    select
        {{ person_id('null', 'github_username') }} as person_id,
        login_key
    from memberships
)

select * from identified
