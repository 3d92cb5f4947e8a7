{#- The model has exactly one row, in which the columns of `not_null` are not null. -#}
{% test one_row(model, not_null=[]) %}

select count(*) as rows_found
from {{ model }}
having
    count(*) <> 1
    {%- for name in not_null %}
    or count({{ name }}) <> 1
    {%- endfor %}

{% endtest %}
