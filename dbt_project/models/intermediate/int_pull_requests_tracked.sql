-- A table: four models look at it, and all see the same.
{{
    config(
        materialized='table',
        unlogged=true,
        pre_hook="{{ set_work_mem() }}",
        post_hook=[
            "{{ pass_on_build(ref('int_inputs_processed'), 'int_pull_requests_touched') }}",
            "analyze {{ this }}",
        ],
    )
}}

with

pull_requests as (
    select * from {{ ref('stg_github__pull_requests') }}
),

repositories as (
    select * from {{ ref('stg_github__repositories') }}
),

memberships as (
    select * from {{ ref('int_memberships_identified') }}
),

touched as (
    select * from {{ ref('int_pull_requests_touched') }}
),

members as (
    select person_id
    from memberships
    group by person_id
),

dated as (
    select
        *,
        {{ attributed_at(var('attribution_instant')) }} as attributed_at
    from pull_requests
    where vanished_at is null
),

tracked as (
    select
        dated.pull_request_id,
        -- The row's own name is as old as its last change; a rename is not one.
        coalesce(repositories.repository_name, dated.repository_name) as repository,
        dated.number,
        dated.title,
        dated.url,
        dated.state,
        dated.is_draft,
        dated.labels,
        dated.author_id,
        dated.author_login,
        dated.author_login_key,
        dated.author_person_id,
        dated.created_at,
        dated.updated_at,
        dated.closed_at,
        dated.merged_at,
        dated.attributed_at,
        dated.first_commit_at,
        dated.additions,
        dated.deletions,
        dated.changed_files,
        dated.commits
    from dated
    inner join touched on dated.pull_request_id = touched.pull_request_id
    inner join members on dated.author_person_id = members.person_id
    left join repositories on dated.repository_id = repositories.repository_id
)

select * from tracked
