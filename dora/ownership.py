"""Tell our objects in a database from those of others, which must not be touched."""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg import Connection

from dora.errors import ConfigurationError
from dora.schemas import Schemas

if TYPE_CHECKING:
    from dora.database import Database

# At most this many objects of others are named; there may be thousands.
_NAMED = 20
_SNAPSHOTS = re.compile(r"^  - name: (\w+)$", re.MULTILINE)
# Every table that the ingest loads, which dora has to know if the ingest is not installed, and the
# table of `dora digest`.
RAW_TABLES = frozenset(
    {
        *("repositories", "pull_requests", "pull_request_reviews", "pull_request_draft_events"),
        *("user_logins", "teams", "team_memberships", "team_groups", "settings"),
        *("commits", "deployments", "deployment_statuses", "releases", "tags", "workflow_runs"),
        *("pull_request_files", "incidents", "delivery_coverage"),
        *("ingest_runs", "ingest_failures", "digests"),
    }
)
_OBJECTS = """
with

schemas as (
    select
        oid,
        nspname,
        nspowner
    from pg_namespace
    where nspname = any(%s)
),

objects as (
    select
        nspname,
        '' as object_name,
        'schema' as kind,
        nspowner as owner_id
    from schemas
    union all
    select
        schemas.nspname,
        class.relname,
        class.relkind::text,
        class.relowner
    from pg_class as class
    inner join schemas on class.relnamespace = schemas.oid
    where
        class.relkind in ('r', 'p', 'f', 'v', 'm', 'S', 'c')
        -- A sequence of a column follows its table.
        and not (
            class.relkind = 'S'
            and exists (
                select from pg_depend
                where
                    pg_depend.classid = 'pg_class'::regclass
                    and pg_depend.objid = class.oid
                    and pg_depend.deptype in ('a', 'i')
            )
        )
    union all
    select
        schemas.nspname,
        proname,
        'function',
        proowner
    from pg_proc
    inner join schemas on pronamespace = schemas.oid
    union all
    select
        schemas.nspname,
        typname,
        'type',
        typowner
    from pg_type
    inner join schemas on typnamespace = schemas.oid
    where typtype in ('d', 'e')
)

select
    nspname,
    object_name,
    kind,
    pg_get_userbyid(owner_id),
    pg_has_role(current_user, owner_id, 'USAGE')
from objects
order by nspname, kind <> 'schema', object_name
"""
# Columns that distinguish our tables from others of these names.
_MARKS = """
select exists (
    select from pg_attribute
    inner join pg_class on pg_attribute.attrelid = pg_class.oid
    inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
    where
        (nspname, relname, attname) in (
            ('raw', 'ingest_failures', 'subject_id'),
            ('marts', 'dim_build', 'attribution_instant')
        )
        and pg_get_userbyid(relowner) = any(%s)
)
"""
_KINDS = {
    "r": "table",
    "p": "table",
    "f": "foreign table",
    "v": "view",
    "m": "materialized view",
    "S": "sequence",
    "c": "type",
}


class Object(NamedTuple):
    """A schema with one of our names (then `name` is empty), or an object in such a schema.

    `kind` is `schema`, `function`, `type` or as in `pg_class.relkind`; `may_alter` says whether the
    login has the owner's rights.
    """

    schema: str
    name: str
    kind: str
    owner: str
    may_alter: bool

    def __str__(self) -> str:
        named = f"{self.schema}.{self.name}" if self.name else self.schema
        return f"{_KINDS.get(self.kind, self.kind)} {named} (owner {self.owner})"

    def is_of_dlt(self, schemas: Schemas) -> bool:
        """Whether it is a bookkeeping table of dlt."""
        return self.schema in (schemas.raw, schemas.raw_staging) and self.name.startswith("_dlt_")

    def has_name_of_ours(self, schemas: Schemas) -> bool:
        """Whether it has the name of an ingest table, a model or a snapshot."""
        if self.schema in (schemas.raw, schemas.raw_staging):
            return self.name in RAW_TABLES or self.is_of_dlt(schemas)
        return self.name in _made_by_dbt()


def expect_no_strangers(connection: Connection[Any], database: "Database") -> list[Object]:
    """List the objects in our schemas; raise `ConfigurationError` if others use these schemas.

    Objects that our roles own are ours. In an existing installation, so are objects with the name
    of one of our tables or models, and other objects of the login are left alone. Before the first
    installation, a schema of the login may be empty or contain only bookkeeping tables of dlt.
    """
    schemas, login = database.schemas, connection.info.user
    ours = schemas.roles
    objects = connection.execute(_OBJECTS, [list(schemas.owners)]).fetchall()
    found = [Object(*row) for row in objects]
    marks = connection.execute(schemas.qualify(_MARKS), [[*ours, login]]).fetchone()
    is_installed = marks == (True,) or any(
        each.kind == "schema" and each.owner in ours for each in found
    )

    def is_ours(each: Object) -> bool:
        if each.owner in ours:
            return True
        if each.owner == login:
            return is_installed or each.kind == "schema" or each.is_of_dlt(schemas)
        return is_installed and each.has_name_of_ours(schemas)

    if strangers := [str(each) for each in found if not is_ours(each)]:
        rest = len(strangers) - _NAMED
        named = ", ".join(strangers[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
        raise ConfigurationError(
            f"the database {database} has objects of others in the schemas of dora-metrics: "
            f"{named}. Nothing was changed. Move them to other schemas, or set DORA_SCHEMA_PREFIX "
            f"to use other schema names: {schemas.prefix}dora_ gives "
            f"{schemas.prefix}dora_raw, {schemas.prefix}dora_marts and so on"
        )
    return found


@cache
def _made_by_dbt() -> frozenset[str]:
    """The names of models and snapshots; none if the dbt project is not installed."""
    project = Path(__file__).resolve().parents[1] / "dbt_project"
    models = [path.stem for path in project.glob("models/**/*.sql")]
    described = [path.read_text("utf-8") for path in project.glob("snapshots/*.yml")]
    return frozenset(models).union(*map(_SNAPSHOTS.findall, described))
