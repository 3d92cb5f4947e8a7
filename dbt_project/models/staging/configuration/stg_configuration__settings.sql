-- A view: dbt drops the views that depend on a table whenever it replaces the table.
-- The next build notices a setting that lands during a build by its fingerprint.
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
