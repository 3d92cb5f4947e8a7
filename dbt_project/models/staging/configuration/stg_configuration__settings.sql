-- A view, because dbt drops the views that depend on a table when it replaces the
-- table. If a setting changes during a build, the next build detects it by its hash.
with

source as (
    select * from {{ source('configuration', 'settings') }}
),

renamed as (
    select
        name as setting_name,
        value
    from source
)

select * from renamed
