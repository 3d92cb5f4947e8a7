with

settings as (
    select * from {{ ref('stg_configuration__settings') }}
),

patterns as (
    select {{ like_pattern(login_key('listed.glob')) }} as login_pattern
    from settings
    cross join lateral jsonb_array_elements_text(settings.value) as listed (glob)
    where settings.setting_name = 'automation_logins'
    group by 1
)

select * from patterns
