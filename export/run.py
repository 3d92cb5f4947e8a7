"""One export: write the missing files, then the manifest, then delete the files of old builds."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection, IsolationLevel, errors

from dora.database import Database
from dora.errors import ConfigurationError
from dora.roles import READER
from export.destination import Destination
from export.marts import LAYOUT, Mart, Partition, read_marts
from export.parquet import read_ahead, schema_of, write

# Any number that nothing else in this database uses as a lock: see dora.roles, ingest.lock and
# transform.dbt_runner.
LOCK = 0x646F7264
MANIFEST = "manifest.json"
# Files with other names are not ours and stay.
_DATA = re.compile(r"\w+/(\w+_month=[\d-]+/)?[0-9a-f]{32}\.parquet")
_MANIFESTS = re.compile(r"manifests/[\w-]+\.json")

Manifest = dict[str, Any]


@dataclass
class Exported:
    """The manifest of the published build, and the files and bytes that were written for it."""

    manifest: Manifest
    files: int = 0
    size: int = 0


def export_marts(
    database: Database,
    destination: Destination,
    keep: int,
    *,
    on_wait: Callable[[], None] = lambda: None,
    on_mart: Callable[[str, int], None] = lambda name, count: None,
) -> Exported:
    """Export the published build and delete all but the last `keep` ones.

    If another export of the database is running, wait for it: `on_wait` is called first. `on_mart`
    is called before each mart with its name and the number of marts. Raise `ConfigurationError` if
    there is no build or the destination refuses a file, `UnavailableError` if it or the database
    is unavailable; the manifest then is that of the last complete export.
    """
    with destination.faults(), database.session(READER) as connection:
        _lock(connection, database, on_wait)
        build = _read_build(connection, database)
        manifest = _read_manifest(destination, MANIFEST)
        sizes = destination.sizes()
        exported = Exported(manifest)
        if not _is_complete(manifest, build, sizes):
            marts = list(read_marts(connection, database.schemas))
            exported.manifest = {"layout": LAYOUT, "build": build, "marts": {}}
            with destination.scratch() as scratch:
                writer = _Writer(connection, destination, scratch, sizes, exported)
                for mart in marts:
                    on_mart(mart.name, len(marts))
                    writer.write_mart(mart)
                # Fails if the server was restarted, which has released the lock.
                connection.commit()
                writer.write_manifest()
        _clean_up(destination, exported.manifest, keep)
    return exported


def _lock(connection: Connection[Any], database: Database, on_wait: Callable[[], None]) -> None:
    """Take the lock of exports, then begin the transaction that sees one build."""
    lock = [database.schemas.lock(LOCK)]
    if connection.execute("select pg_try_advisory_lock(%s)", lock).fetchone() != (True,):
        on_wait()
        connection.execute("select pg_advisory_lock(%s)", lock)
    connection.commit()
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    # For sorting the rows by month.
    connection.execute("set local work_mem = '64MB'")


def _read_build(connection: Connection[Any], database: Database) -> dict[str, Any]:
    try:
        query = database.schemas.qualify("select to_jsonb(dim_build) from marts.dim_build")
        row = connection.execute(query).fetchone()
    except errors.UndefinedTable:
        row = None
    if row is None:
        raise ConfigurationError(
            f"the database {database} has no build to export: run `dora build` first"
        )
    return dict(row[0])


def _read_manifest(destination: Destination, name: str) -> Manifest:
    """Read a manifest; an empty one if it does not exist."""
    text = destination.read(name)
    try:
        manifest: Manifest = {"marts": {}} if text is None else json.loads(text)
        _files_of(manifest)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ConfigurationError(
            f"--to {destination}: {name} is not a manifest of an export: use another folder"
        ) from None
    return manifest


def _files_of(manifest: Manifest) -> dict[str, int]:
    """The sizes of a build's files."""
    return {
        file["path"]: file["bytes"] for mart in manifest["marts"].values() for file in mart["files"]
    }


def _is_complete(manifest: Manifest, build: dict[str, Any], sizes: dict[str, int]) -> bool:
    is_of_build = (manifest.get("layout"), manifest.get("build")) == (LAYOUT, build)
    return is_of_build and _files_of(manifest).items() <= sizes.items()


@dataclass
class _Writer:
    """Writes files that the destination lacks; `sizes` has those that it has."""

    connection: Connection[Any]
    destination: Destination
    scratch: Path
    sizes: dict[str, int]
    exported: Exported

    def write_mart(self, mart: Mart) -> None:
        partitions = mart.partitions(self.connection)
        due = [partition for partition in partitions if partition.name not in self.sizes]
        if due:
            self._write_partitions(mart, due, is_all=len(due) == len(partitions))
        self.exported.manifest["marts"][mart.name] = {
            "rows": sum(partition.rows for partition in partitions),
            "partitioned_by": mart.month and mart.month.name,
            "columns": [column._asdict() for column in mart.columns],
            "files": [self._describe(partition) for partition in partitions],
        }

    def _write_partitions(self, mart: Mart, due: list[Partition], is_all: bool) -> None:
        schema = schema_of(mart)
        with self.connection.cursor().copy(mart.rows(due, is_all)) as copy:
            # Each element is a line: Postgres sends one row per message.
            rows = iter(copy)
            groups = read_ahead(rows, [partition.rows for partition in due])
            for partition in due:
                path = self.scratch / "part.parquet"
                write(path, groups, partition.rows, schema)
                size = path.stat().st_size
                self.destination.put(path, partition.name)
                self.sizes[partition.name] = size
                self.exported.files += 1
                self.exported.size += size
            if next(groups, None) is not None or next(rows, None) is not None:
                raise RuntimeError(f"{mart.name} has more rows than its partitions")

    def _describe(self, partition: Partition) -> dict[str, Any]:
        return {
            "path": partition.name,
            "month": partition.month and partition.month.isoformat(),
            "rows": partition.rows,
            "bytes": self.sizes[partition.name],
        }

    def write_manifest(self) -> None:
        """Write the manifest under the build's name, then as the current one."""
        for name in (_name_of(self.exported.manifest), MANIFEST):
            path = self.scratch / "manifest.json"
            path.write_text(json.dumps(self.exported.manifest, indent=1), "utf-8")
            self.destination.put(path, name)


def _name_of(manifest: Manifest) -> str:
    """The name that a build's manifest keeps; names sort by the start of the build."""
    built_at = datetime.fromisoformat(manifest["build"]["built_at"])
    return f"manifests/{built_at:%Y%m%dT%H%M%S}-{manifest['build']['build_id']}.json"


def _clean_up(destination: Destination, manifest: Manifest, keep: int) -> None:
    """Delete the manifests of old builds, then the files that no manifest names."""
    sizes = destination.sizes()
    current = _name_of(manifest)
    others = sorted(filter(_MANIFESTS.fullmatch, sizes.keys() - {current}), reverse=True)
    kept = others[: keep - 1]
    destination.remove(others[keep - 1 :])
    named = set(_files_of(manifest))
    for name in kept:
        named |= _files_of(_read_manifest(destination, name)).keys()
    destination.remove(name for name in sizes if _DATA.fullmatch(name) and name not in named)
