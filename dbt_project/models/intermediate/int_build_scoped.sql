{{
    config(
        materialized='table',
        post_hook="{{ forget_published_hashes() }}",
    )
}}

with

changes as (
    select * from {{ ref('stg_github__changes') }}
),

settings as (
    select * from {{ ref('stg_configuration__settings') }}
),

repositories as (
    select * from {{ ref('stg_github__repositories') }}
),

memberships as (
    select * from {{ ref('int_memberships_identified') }}
),

team_groups as (
    select * from {{ ref('int_team_groups_listed') }}
),

accounts as (
    select * from {{ ref('int_accounts_identified') }}
),

published as (
    select * from {{ ref('int_builds_published') }}
),

listed_settings as (
    select string_agg(concat(setting_name, value), ',' order by setting_name) as listed
    from settings
),

people as (
    select
        person_id,
        string_agg(account_id, ' ' order by account_id) as account_ids,
        count(*) > 1 as has_several
    from accounts
    group by person_id
),

listed_people as (
    select
        string_agg(concat(person_id, account_ids), ',' order by person_id) as listed,
        -- Reviews by another account of the author do not count.
        string_agg(concat(person_id, account_ids), ',' order by person_id)
        filter (where has_several) as joined
    from people
),

listed_memberships as (
    select string_agg(memberships::text, ',' order by memberships::text) as listed
    from memberships
),

listed_team_groups as (
    select string_agg(team_groups::text, ',' order by team_groups::text) as listed
    from team_groups
),

listed_repositories as (
    select
        string_agg(
            concat(repository_id, repository_name), ',' order by repository_id
        ) as listed
    from repositories
),

hashed as (
    select
        changes.last_change_number,
        md5(concat_ws(
            ' ',
            '{{ hash_of_the_code() }}',
            '{{ attribution_instant() }}',
            '{{ reporting_timezone() }}',
            changes.table_id,
            listed_settings.listed,
            listed_people.joined
        )) as rules_hash,
        md5(concat(
            listed_people.listed,
            listed_memberships.listed,
            listed_team_groups.listed
        )) as memberships_hash,
        md5(coalesce(listed_repositories.listed, '')) as repositories_hash
    from changes
    cross join listed_settings
    cross join listed_people
    cross join listed_memberships
    cross join listed_team_groups
    cross join listed_repositories
),

compared as (
    select
        hashed.*,
        coalesce(published.change_number, 0) as published_change_number,
        {{ is_full_refresh() }}
        or coalesce(hashed.rules_hash <> published.rules_hash, true) as has_new_rules,
        coalesce(hashed.memberships_hash <> published.memberships_hash, true)
            as has_new_memberships,
        coalesce(hashed.repositories_hash <> published.repositories_hash, true)
            as has_new_names,
        coalesce(
            published.audited_at
            < '{{ run_started_at.isoformat() }}'::timestamptz - interval '24 hours',
            true
        ) as is_audit_due
    from hashed
    left join published on true
),

scoped as (
    select
        '{{ invocation_id }}'::text as build_id,
        '{{ run_started_at.isoformat() }}'::timestamptz as built_at,
        case when has_new_rules then -1 else published_change_number end
            as changed_after,
        last_change_number,
        rules_hash,
        memberships_hash,
        repositories_hash,
        has_new_rules,
        has_new_rules or has_new_memberships as has_new_memberships,
        has_new_rules or has_new_memberships or has_new_names as is_published_whole,
        has_new_rules or has_new_memberships or has_new_names or is_audit_due
            as is_audited_whole
    from compared
)

select * from scoped
