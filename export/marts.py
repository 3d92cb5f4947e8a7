"""The marts in the database: their columns, their partitions and the digests of these."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any, LiteralString, NamedTuple

from psycopg import Connection, sql

from dora.schemas import Schemas

# Part of each digest: another number makes the next export write every file again.
LAYOUT = 1
_COLUMNS = """
select
    relname,
    attname,
    format_type(atttypid, atttypmod),
    attnotnull,
    col_description(attrelid, attnum)
from pg_attribute
inner join pg_class on attrelid = pg_class.oid
where
    relnamespace = to_regnamespace('marts')
    and relkind in ('r', 'p')
    and attnum > 0
    and not attisdropped
order by relname, attnum
"""


class Month(NamedTuple):
    """A mart's rows are partitioned by the month, in UTC, of an instant.

    The instant is a column of the mart, or of the row of `parent` with the same `key`.
    """

    instant: str
    parent: str = ""
    key: str = ""

    @property
    def name(self) -> str:
        """The name in the path, `created_month`; `month` is a column of some marts."""
        return f"{self.instant.removesuffix('_at')}_month"


# The marts that grow with the number of pull requests or deployments; others are one file each.
# Foreign keys guarantee the parents.
MONTHS = {
    "fct_pull_requests": Month("created_at"),
    "fct_pull_request_labels": Month("created_at", "fct_pull_requests", "pull_request_id"),
    "fct_team_pull_requests": Month("attributed_at"),
    "fct_deployments": Month("deployed_at"),
    "fct_deployment_pull_requests": Month("created_at", "fct_pull_requests", "pull_request_id"),
    "fct_team_deployments": Month("deployed_at", "fct_deployments", "deployment_id"),
    "fct_group_pull_requests": Month("attributed_at"),
    "fct_group_deployments": Month("deployed_at", "fct_deployments", "deployment_id"),
    "fct_pull_request_reviews": Month("created_at", "fct_pull_requests", "pull_request_id"),
}


class Column(NamedTuple):
    """A column of a mart, with its type in Postgres."""

    name: str
    type: str
    is_required: bool
    description: str | None


class Partition(NamedTuple):
    """A file of a mart: `month` is None if the mart is one file."""

    name: str
    month: date | None
    rows: int


@dataclass(frozen=True)
class Mart:
    """A table of the schema `marts`."""

    schema: str
    name: str
    columns: Sequence[Column]

    @property
    def month(self) -> Month | None:
        """How the mart is partitioned; None if it is one file."""
        return MONTHS.get(self.name)

    def partitions(self, connection: Connection[Any]) -> list[Partition]:
        """List the partitions in the order of `rows`; the name of each depends on its content.

        A name contains a digest of columns, number of rows and the sum of the hashes of the rows,
        so a partition with the same name has the same rows.
        """
        query: LiteralString = (
            "select {month}, count(*), coalesce(sum(hash_record_extended(mart, 0)), 0)"
            " from {source} group by 1 order by 1"
        )
        found = connection.execute(self._fill(query)).fetchall()
        return [
            Partition(self._path(month, rows, content), month, rows)
            for month, rows, content in found or [(None, 0, 0)]
        ]

    def rows(self, due: Sequence[Partition], is_all: bool) -> sql.Composed:
        """The statement that copies the rows of the due partitions as CSV, one after the other."""
        if self.month is None:
            return self._fill("copy (select {values} from {source}) to stdout (format csv)")
        query: LiteralString = (
            "copy (select {values} from {source} where {month} = any({months}) order by {instant})"
            " to stdout (format csv)"
        )
        if is_all:
            query = query.replace("where {month} = any({months}) ", "")
        return self._fill(query, months=sql.Literal([partition.month for partition in due]))

    def _path(self, month: date | None, rows: int, content: int) -> str:
        shape = [[column.name, column.type, column.is_required] for column in self.columns]
        described = json.dumps([LAYOUT, shape, rows, str(content)])
        digest = hashlib.sha256(described.encode()).hexdigest()[:32]
        folder = f"{self.month.name}={month}/" if self.month and month else ""
        return f"{self.name}/{folder}{digest}.parquet"

    def _fill(self, query: LiteralString, **more: sql.Composable) -> sql.Composed:
        month = self.month
        source = sql.SQL("{} as mart").format(sql.Identifier(self.schema, self.name))
        instant: sql.Composable = sql.SQL("null::timestamptz")
        if month is not None:
            instant = sql.Identifier("parent" if month.parent else "mart", month.instant)
        if month is not None and month.parent:
            source += sql.SQL(" inner join {} as parent on mart.{key} = parent.{key}").format(
                sql.Identifier(self.schema, month.parent), key=sql.Identifier(month.key)
            )
        return sql.SQL(query).format(
            source=source,
            instant=instant,
            # The session's time zone is UTC.
            month=sql.SQL("date_trunc('month', {})::date").format(instant),
            values=sql.SQL(", ").join(map(_as_text, self.columns)),
            **more,
        )


def read_marts(connection: Connection[Any], schemas: Schemas) -> Iterator[Mart]:
    """List the marts with their columns."""
    found = connection.execute(schemas.qualify(_COLUMNS)).fetchall()
    for name, columns in groupby(found, key=lambda row: row[0]):
        yield Mart(schemas.marts, name, [Column(*column) for _, *column in columns])


def _as_text(column: Column) -> sql.Composable:
    # CSV has no arrays.
    form: LiteralString = "array_to_json({})" if column.type.endswith("[]") else "{}"
    return sql.SQL(form).format(sql.Identifier("mart", column.name))
