with

user_logins as (
    select * from {{ ref('stg_github__user_logins') }}
),

pull_requests as (
    select * from {{ ref('stg_github__pull_requests') }}
),

reviews as (
    select * from {{ ref('stg_github__reviews') }}
),

seen as (
    select
        person_id,
        login_key
    from user_logins
    union
    select
        author_person_id as person_id,
        author_login_key as login_key
    from pull_requests
    where author_login_key is not null
    union
    select
        reviewer_person_id as person_id,
        reviewer_login_key as login_key
    from reviews
    where reviewer_login_key is not null
)

select * from seen
