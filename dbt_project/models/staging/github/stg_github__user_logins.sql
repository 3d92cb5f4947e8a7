-- No CTE, for the reason that stg_github__pull_requests gives.
select
    user_id as account_id,
    login,
    {{ login_key('login') }} as login_key,
    account_type,
    seen_at
from {{ source('github', 'user_logins') }}
