{#- Windows are [starts_at, ends_at), without an end if ends_at is null. A window that
    does not end after its start also fails. -#}
{% test no_overlapping_windows(model, partition_by, starts_at, ends_at) %}

with

windows as (
    select
        {{ partition_by | join(", ") }},
        {{ starts_at }} as starts_at,
        coalesce({{ ends_at }}, 'infinity') as ends_at,
        -- Not just the previous row's end: a long window may contain several short
        -- ones.
        max(coalesce({{ ends_at }}, 'infinity')) over (
            partition by {{ partition_by | join(", ") }}
            order by {{ starts_at }}
            rows between unbounded preceding and 1 preceding
        ) as taken_until
    from {{ model }}
)

select *
from windows
where starts_at < taken_until or ends_at <= starts_at

{% endtest %}
