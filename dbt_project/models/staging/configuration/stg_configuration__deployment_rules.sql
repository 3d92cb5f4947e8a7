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
    where settings.setting_name = 'deployments'
    union all
    -- The default if no rule is configured.
    select
        0 as position,
        '{"repositories": ["*"]}'::jsonb as rule
),

read as (
    select
        rules.position,
        {{ like_pattern('patterns.glob') }} as repository_pattern,
        rules.rule ->> 'target' as target,
        coalesce(rules.rule ->> 'source', 'deployments') as source,
        coalesce(
            rules.rule ->> 'environment', '^(prod|production|live)($|[^a-z])'
        ) as environment_pattern,
        coalesce(rules.rule ->> 'tag', '') as tag_pattern,
        coalesce((rules.rule ->> 'prereleases')::boolean, false) as takes_prereleases,
        rules.rule ->> 'workflow' as workflow,
        rules.rule ->> 'branch' as branch,
        rules.rule -> 'labels' as labels,
        (
            select jsonb_agg({{ like_pattern('paths.glob') }})
            from jsonb_array_elements_text(rules.rule -> 'paths') as paths (glob)
        ) as path_patterns
    from rules
    cross join
        lateral jsonb_array_elements_text(rules.rule -> 'repositories')
            as patterns (glob)
    where
        rules.position > 0
        or not exists (
            select from rules as configured
            where configured.position > 0
        )
)

select * from read
