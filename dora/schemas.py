"""The names of the schemas and roles, with an optional common prefix."""

import re
import zlib
from dataclasses import dataclass

INGEST, TRANSFORM, READER = ROLES = ("dora_ingest", "dora_transform", "dora_reader")
# dlt merges through a staging dataset, which it names after the dataset.
OWNERS = {
    "raw": INGEST,
    "raw_staging": INGEST,
    "staging": TRANSFORM,
    "intermediate": TRANSFORM,
    "marts": TRANSFORM,
    "snapshots": TRANSFORM,
}
# Postgres truncates names to 63 bytes; the longest name with the prefix is that of a login, such
# as `dora_transform_login`.
LONGEST_PREFIX = 40
_PREFIX = re.compile(r"([a-z_][a-z0-9_]*)?")
_NAMES = re.compile(r"\b(raw|raw_staging|staging|intermediate|marts|snapshots)(?=[.'])")


@dataclass(frozen=True)
class Schemas:
    """Names in one database: `prefix`, by default empty, precedes each schema's and role's name.

    Raise `ValueError` for a prefix that cannot begin a name in Postgres without quotes.
    """

    prefix: str = ""

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix) or len(self.prefix) > LONGEST_PREFIX:
            raise ValueError(
                f"{self.prefix!r} is not a prefix for schemas: use lower-case letters, digits and "
                f"underscores, at most {LONGEST_PREFIX}, not a digit first; for example dora_"
            )
        if self.prefix.startswith("pg_"):
            raise ValueError(f"{self.prefix!r} begins with pg_, which Postgres reserves")

    @property
    def raw(self) -> str:
        """Tables that the ingest loads."""
        return f"{self.prefix}raw"

    @property
    def raw_staging(self) -> str:
        """The schema in which dlt prepares a merge into `raw`; dlt derives its name from `raw`."""
        return f"{self.raw}_staging"

    @property
    def staging(self) -> str:
        """Views of `raw`, made by dbt."""
        return f"{self.prefix}staging"

    @property
    def intermediate(self) -> str:
        """Steps between `staging` and `marts`, made by dbt."""
        return f"{self.prefix}intermediate"

    @property
    def marts(self) -> str:
        """Tables for readers, made by dbt."""
        return f"{self.prefix}marts"

    @property
    def snapshots(self) -> str:
        """Snapshots of the team configuration, made by dbt."""
        return f"{self.prefix}snapshots"

    @property
    def roles(self) -> list[str]:
        """The names of the roles in this installation."""
        return [self.role(role) for role in ROLES]

    @property
    def owners(self) -> dict[str, str]:
        """Each schema with the role that owns it."""
        return {f"{self.prefix}{schema}": self.role(role) for schema, role in OWNERS.items()}

    def role(self, role: str) -> str:
        """The name of a role, such as `dora_reader`, in this installation."""
        return f"{self.prefix}{role}"

    def qualify(self, query: str) -> bytes:
        """Add the prefix to schemas in a query: `marts.dim_teams`, `'marts'::regnamespace`.

        Only for queries that are part of the program.
        """
        return _NAMES.sub(rf"{self.prefix}\1", query).encode()

    def lock(self, key: int) -> int:
        """The advisory lock of this installation for a 32-bit key; without a prefix, the key."""
        return (zlib.crc32(self.prefix.encode()) >> 1) << 32 | key
