"""The marts worked out a second time, in plain Python, from METRICS.md alone.

It shares no code with `ingest`, `dbt_project` or `api`, so that where it and the marts agree, two
independent readings of the definitions agree. Start at `reference`; `compare` says what differs.
`delivery` does the same for DELIVERY.md.
"""

from .comparison import compare, keyed
from .coverage import Build, Coverage
from .marts import Marts, reference
from .records import read_records

__all__ = ["Build", "Coverage", "Marts", "compare", "keyed", "read_records", "reference"]
