with

settings as (
    select * from {{ ref('stg_configuration__settings') }}
),

rules as (
    select
        listed.position,
        listed.rule
    from settings
    cross join
        lateral jsonb_array_elements(settings.value)
        with ordinality as listed (rule, position)
    where settings.setting_name = 'pull_requests'
),

read as (
    select
        position,
        {{ like_pattern("rule ->> 'base'") }} as base_pattern,
        {{ like_pattern("rule ->> 'head'") }} as head_pattern,
        {{ like_pattern("rule ->> 'label'") }} as label_pattern,
        {{ like_pattern("rule ->> 'title'") }} as title_pattern,
        rule ->> 'reason' as reason
    from rules
)

select * from read
