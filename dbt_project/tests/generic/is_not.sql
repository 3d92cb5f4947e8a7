{% test is_not(model, column_name, value) %}

select {{ column_name }}
from {{ model }}
where {{ column_name }} = '{{ value }}'

{% endtest %}
