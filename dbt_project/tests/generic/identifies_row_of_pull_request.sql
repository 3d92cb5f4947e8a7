{#- The column is unique and not null, and the row's pull request exists. -#}
{% test identifies_row_of_pull_request(model, column_name) %}

with

of_pull_requests as (
    select * from {{ audited(model) }} as audited
),

pull_requests as (
    select * from {{ ref('stg_github__pull_requests') }}
)

select
    of_pull_requests.{{ column_name }},
    count(*) as rows_found,
    count(pull_requests.pull_request_id) as pull_requests_found
from of_pull_requests
left join pull_requests
    on of_pull_requests.pull_request_id = pull_requests.pull_request_id
group by of_pull_requests.{{ column_name }}
having
    of_pull_requests.{{ column_name }} is null
    or count(*) > 1
    or count(pull_requests.pull_request_id) = 0

{% endtest %}
