with

source as (
    select * from {{ source('github', 'user_logins') }}
),

renamed as (
    select
        user_id as person_id,
        login,
        {{ login_key('login') }} as login_key
    from source
)

select * from renamed
