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
        -- A label that GitHub gives twice, on two pages, counts once.
        select distinct listed.label
        from jsonb_array_elements_text(pull_requests.labels) as listed (label)
    ) as labels
)

select * from labelled
