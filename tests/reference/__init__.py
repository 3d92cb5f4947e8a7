"""A second, independent computation of the marts of docs/metrics.md, in plain Python.

It shares no code with `ingest`, `dbt_project` or `api`: if it and the marts agree, two independent
readings of the definitions agree. Start at `reference`; `compare` lists the differences.
`delivery` does the same for docs/delivery.md.
"""

from .comparison import compare, keyed
from .coverage import Build, Coverage
from .marts import Marts, reference
from .records import read_records

__all__ = ["Build", "Coverage", "Marts", "compare", "keyed", "read_records", "reference"]
