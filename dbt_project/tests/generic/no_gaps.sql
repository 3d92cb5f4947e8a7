{#- Every value is one `step` after the previous value in its partition. -#}
{% test no_gaps(model, column_name, partition_by, step) %}

with

steps as (
    select
        {{ partition_by | join(", ") }},
        {{ column_name }} as value,
        lag({{ column_name }}) over (
            partition by {{ partition_by | join(", ") }} order by {{ column_name }}
        ) as previous_value
    from {{ model }}
)

select *
from steps
where value <> previous_value + interval '{{ step }}'

{% endtest %}
