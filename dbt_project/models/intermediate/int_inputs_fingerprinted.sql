{{ config(materialized='table', unlogged=true) }}
{#- A change of any model's SQL counts as a change of all rows. -#}
{%- set checksums = [] %}
{%- for node in graph.nodes.values() | sort(attribute="unique_id") %}
    {%- if node.resource_type == "model" and node.package_name == project_name %}
        {%- do checksums.append(node.checksum.checksum) %}
    {%- endif %}
{%- endfor %}

with

changes as (
    select * from {{ ref('stg_github__changes') }}
),

repositories as (
    select * from {{ ref('stg_github__repositories') }}
),

memberships as (
    select * from {{ ref('int_memberships_identified') }}
),

fingerprinted as (
    select
        'change' as kind,
        'last' as input_key,
        last_change_number::text as fingerprint
    from changes
    union all
    select
        'setting' as kind,
        'table' as input_key,
        table_id as fingerprint
    from changes
    union all
    -- Which build they are of, so that what is made of them can tell.
    select
        'build' as kind,
        'id' as input_key,
        '{{ invocation_id }}' as fingerprint
    union all
    select
        'setting' as kind,
        input_key,
        fingerprint
    from (
        values
        {%- for name, value in settings().items() %}
            ('{{ name }}', '{{ value }}'),
        {%- endfor %}
        ('models', '{{ local_md5(checksums | join) }}')
    ) as chosen (input_key, fingerprint)
    union all
    select
        'repository' as kind,
        repository_id as input_key,
        repository_name as fingerprint
    from repositories
    union all
    select
        'person' as kind,
        person_id as input_key,
        md5(
            string_agg(
                concat_ws(' ', team_id, allocation_weight, joined_at, left_at), ', '
                order by team_id, joined_at, allocation_weight, left_at
            )
        ) as fingerprint
    from memberships
    group by person_id
)

select * from fingerprinted
