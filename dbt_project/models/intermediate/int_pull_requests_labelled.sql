with

pull_requests as (
    select * from {{ ref('int_pull_requests_tracked') }}
),

labelled as (
    select
        pull_requests.pull_request_id,
        labels.label
    from pull_requests
    cross join lateral (
        -- GitHub can return a label twice, on two pages.
        select distinct listed.label
        from jsonb_array_elements_text(pull_requests.labels) as listed (label)
    ) as labels
)

select * from labelled
