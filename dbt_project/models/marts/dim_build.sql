select
    build_id,
    built_at,
    as_of,
    data_from,
    history_from,
    reporting_timezone,
    attribution_instant
from {{ ref('int_build_described') }}
