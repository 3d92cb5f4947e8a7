{#- The key's columns are unique together, and neither they nor the columns of
    `not_null` are null. A failing row says which rule it breaks. -#}
{% test primary_key(model, columns, not_null=[]) %}

with

checked as (
    select
        {{ columns | join(", ") }},
        concat_ws(
            ', ',
            {%- for name in columns + not_null %}
            case when count({{ name }}) < count(*) then '{{ name }} is null' end,
            {%- endfor %}
            case when count(*) > 1 then 'not unique' end
        ) as faults
    from {{ model }}
    group by {{ columns | join(", ") }}
)

select *
from checked
where faults <> ''

{% endtest %}
