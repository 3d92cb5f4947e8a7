with

user_logins as (
    select * from {{ ref('stg_github__user_logins') }}
),

configured as (
    select * from {{ ref('int_member_logins_listed') }}
),

seen as (
    select
        account_id,
        login_key,
        max(account_type) as account_type,
        max(coalesce(seen_at, '-infinity')) as seen_at
    from user_logins
    group by account_id, login_key
),

current_logins as (
    select
        account_id,
        login_key,
        seen_at,
        coalesce(max(account_type) over same_account, 'User') as account_type,
        seen_at = max(seen_at) over same_account as is_current
    from seen
    window same_account as (partition by account_id)
),

-- Accounts of different types (a user and a bot, a user and a mannequin) can have the
-- same login at the same time.
borne as (
    select
        *,
        max(seen_at) filter (where is_current) over (
            partition by login_key, account_type
        ) as borne_at
    from current_logins
),

identified as (
    select
        account_id,
        login_key
    from borne
    -- A former login of this account counts, unless another account has it now.
    where borne_at is null or (is_current and seen_at = borne_at)
    union
    -- Pull requests that came without an id.
    select
        {{ person_id('null', 'login_key') }} as account_id,
        login_key
    from configured
)

select * from identified
