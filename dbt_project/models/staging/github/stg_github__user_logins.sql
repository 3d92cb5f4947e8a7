-- No CTE, for the reason that stg_github__pull_requests gives.
select
    user_id as person_id,
    login,
    {{ login_key('login') }} as login_key
from {{ source('github', 'user_logins') }}
