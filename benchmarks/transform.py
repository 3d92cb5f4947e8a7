"""dbt's builds of generated pull requests, compared with equivalent SQL written by hand.

The time of a build includes dbt's start, models, data tests and publishing. The SQL by hand,
`transform.sql`, computes the models without tests in one session; after each build its rows are
compared with the marts. The result is the median of several rounds. `SIZES="1000000 10000000"` in
the environment sets the numbers of pull requests; sizes above a million are built and changed once,
without the SQL by hand.
"""

import os
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import psutil
import psycopg
from dbt.cli.main import dbtRunner
from psycopg import Connection

from dora import embedded_postgres
from dora.database import Database, initialise
from dora.embedded_postgres import Embedded
from dora.roles import INGEST, TRANSFORM
from ingest.loader import Loader
from ingest.lock import Lock
from transform.dbt_runner import BUILD

SIZES = tuple(int(size) for size in os.environ.get("SIZES", "100000 1000000").split())
AIMED_AT = 1_000_000
CHANGES = 1000
# Of each build but the first, because Postgres may vacuum during one of them.
ROUNDS = 3
BAD = {"error", "fail", "runtime error"}
HERE = Path(__file__).parent
ROOT = HERE.parent
# Each mart with its key.
MARTS = {
    "fct_pull_requests": "pull_request_id",
    "fct_team_pull_requests": "pull_request_id, team_id",
    "fct_team_velocity_weekly": "team_id, week",
    "fct_team_lead_time_monthly": "team_id, month",
    "dim_teams": "team_id",
    "dim_team_memberships": "team_id, github_username, joined_at",
}
# Spread over ten years: the worst case, because each change is in a different week.
CHANGE = f"""
update raw.pull_requests
set title = title || ' again', merged_at = merged_at + interval '1 hour', change_number = default
where number in (
    select 1 + step * (select count(*) from raw.pull_requests) / {CHANGES}
    from generate_series(0, {CHANGES} - 1) as step
)
"""
MOVE = """
update raw.team_memberships
set left_at = '2024-07-01 00:00Z'
where
    github_username = (
        select min(github_username)
        from raw.team_memberships
        where left_at is null and joined_at < '2024-07-01'
    )
    and left_at is null
"""
DIFFERENCE = """
select count(*)
from (select {columns} from marts.{mart}) as mart
full outer join (select {columns} from hand.{mart}) as hand using ({key})
where mart is distinct from hand
"""
COLUMNS = """
select string_agg(
    case data_type
        when 'double precision' then format('round(%%1$s::numeric, 6) as %%1$s', column_name)
        else column_name
    end, ', ' order by ordinal_position
)
from information_schema.columns
where table_schema = 'hand' and table_name = %s
"""
DISK = """
select
    sum(pg_total_relation_size(oid)) filter (where relnamespace = 'marts'::regnamespace),
    sum(pg_total_relation_size(oid)) filter (where relnamespace = 'hand'::regnamespace),
    sum(pg_total_relation_size(oid)) filter (where relnamespace = 'intermediate'::regnamespace),
    sum(pg_total_relation_size(oid)) filter (where relnamespace = 'raw'::regnamespace)
from pg_class
where relkind = 'r'
"""
ALL = {
    "pull_requests": "(select * from raw.pull_requests where vanished_at is null)",
    "facts": "hand.fct_pull_requests",
    "shares_by_week": "hand.fct_team_pull_requests",
    "shares_by_month": "hand.fct_team_pull_requests",
    "periods": "hand.periods",
}
TOUCHED = {
    "pull_requests": """(
        select pull_requests.* from touched
        inner join raw.pull_requests on touched.pull_request_id = pull_requests.id
        where vanished_at is null
    )""",
    "facts": "(select * from touched inner join hand.fct_pull_requests using (pull_request_id))",
    "shares_by_week": """(
        select shares.* from due_periods
        inner join hand.fct_team_pull_requests as shares
            on
                due_periods.team_id = shares.team_id
                and due_periods.period = shares.week
                and shares.month
                between date_trunc('month', due_periods.period)::date and due_periods.period + 6
        where unit = 'week'
    )""",
    "shares_by_month": """(
        select shares.* from due_periods
        inner join hand.fct_team_pull_requests as shares
            on due_periods.team_id = shares.team_id and due_periods.period = shares.month
        where unit = 'month'
    )""",
    "periods": "due_periods",
}
LOGIN_KEY = r"regexp_replace(lower({}.author_login), '\[bot\]$', '')"


@dataclass
class Bench:
    """A database of generated pull requests, and two methods that build its marts."""

    database: Database
    target: Path

    def build(self, *arguments: str) -> float:
        """Compute, test and publish the marts; return the seconds, including dbt's start."""
        places = ["--project-dir", ROOT / "dbt_project", "--profiles-dir", ROOT]
        places += ["--target-path", self.target, "--log-path", self.target]
        with patch.dict(os.environ, self.database.environment(TRANSFORM)):
            began = time.perf_counter()
            result = dbtRunner().invoke(["--quiet", *BUILD, *arguments, *map(str, places)])
            seconds = time.perf_counter() - began
        if not result.success:
            failed = [one.node.name for one in result.result or () if one.status in BAD]
            raise SystemExit(f"dbt build failed: {result.exception or failed}")
        return seconds

    def by_hand(self, is_full: bool) -> float:
        """Run the SQL by hand; return its seconds."""
        sections = _sections(ALL if is_full else TOUCHED)
        order = ["changed rows", "delete changed rows", "facts", "attributions", "dimensions"]
        order += ["periods", "delete changed periods", "rollups"]
        if is_full:
            order = ["tables", "facts", "indexes of facts", "attributions"]
            order += ["indexes of attributions", "dimensions", "periods"]
            order += ["rollups", "indexes of rollups"]
        with self.database.connect(TRANSFORM) as connection:
            began = time.perf_counter()
            for name in order:
                connection.execute(sections[name].encode())
            connection.commit()
            return time.perf_counter() - began

    def change(self, statement: str) -> None:
        with self.database.connect(INGEST) as connection:
            connection.execute(statement.encode())

    def compare(self) -> None:
        """Exit if the marts and the tables made by hand have different rows."""
        with self.database.connect(TRANSFORM) as connection:
            for mart, key in MARTS.items():
                columns = _one(connection, COLUMNS, [mart])[0]
                query = DIFFERENCE.format(columns=columns, mart=mart, key=key)
                if differing := _one(connection, query)[0]:
                    raise SystemExit(f"marts.{mart}: {differing} rows differ from hand.{mart}")


def measure(home: Path, sizes: Iterable[int] = SIZES) -> None:
    """Print a line for each build of each size, then the disk space, then the aims."""
    server = embedded_postgres.start(home)
    try:
        full = {size: _measure_one(server, home, size) for size in sizes}
    finally:
        embedded_postgres.stop(home)
    smallest, biggest = min(full), max(full)
    if smallest < biggest:
        growth, most = full[biggest] / full[smallest], 1.2 * biggest / smallest
        _verdict(f"full build from {smallest:,} to {biggest:,}", growth, most)


def _measure_one(server: Embedded, home: Path, size: int) -> float:
    name = f"transform_{size}"
    server.create_database(name)
    bench = Bench(Database(server.url(name)), home / "target")
    generate(bench.database, home, size)
    steps = {
        "full build": None,
        "nothing changed": None,
        f"{CHANGES:,} changes": CHANGE,
        "a membership changed": MOVE,
    }
    models: dict[str, float] = {}
    ratios: dict[str, float] = {}
    is_alone = size > AIMED_AT
    if is_alone:
        del steps["nothing changed"], steps["a membership changed"]
    for step, change in steps.items():
        is_full = step == "full build"
        times = []
        peak = [0]
        for _ in range(1 if is_full or is_alone else ROUNDS):
            if change is not None:
                bench.change(change)
            with _watched(server, peak):
                built = bench.build()
            times.append((built, built if is_alone else bench.by_hand(is_full)))
            if not is_alone:
                bench.compare()
        models[step], by_hand = (median(ways) for ways in zip(*times, strict=True))
        ratios[step] = models[step] / by_hand
        spread = ", ".join(f"{one:.1f}" for one, _ in times)
        beside = "" if is_alone else f", by hand {by_hand:.1f} s, ratio {ratios[step]:.2f}"
        print(
            f"transform, {size:,} pull requests, {step}: build {models[step]:.1f} s ({spread})"
            f"{beside}; the server's processes took up to {peak[0] / 2**20:,.0f} MiB"
        )
    _print_disk(bench.database, size)
    full = models["full build"]
    # With few rows, dbt's overhead for each model dominates.
    if size != AIMED_AT:
        return full
    _verdict("full build with tests, times the models by hand", ratios["full build"], 1.3)
    _verdict(f"{CHANGES:,} changes, of the full build", models[f"{CHANGES:,} changes"] / full, 0.1)
    _measure_deliveries(bench, size, models)
    return full


def _measure_deliveries(bench: Bench, size: int, without: Mapping[str, float]) -> None:
    """Print the times of the same builds with a deployment for every five merges."""
    bench.change((HERE / "transform_deliveries.sql").read_text("utf-8"))
    first = bench.build()
    for step, statement, most in (
        ("full build", None, 1.25),
        (f"{CHANGES:,} changes", CHANGE, 1.3),
    ):
        if statement is not None:
            bench.change(statement)
        seconds = bench.build(*(("--full-refresh",) if statement is None else ()))
        print(f"transform, {size:,} pull requests with deployments, {step}: {seconds:.1f} s")
        _verdict(f"{step} with deployments, times that without", seconds / without[step], most)
    with bench.database.connect() as connection:
        count = _one(connection, "select count(*) from marts.fct_deployments")[0]
    print(f"{count:,} deployments; the build that published them all took {first:.1f} s")


@contextmanager
def _watched(server: Embedded, peak: list[int]) -> Iterator[None]:
    """Keep in `peak` the peak bytes of the server's processes, without shared memory."""
    done = threading.Event()

    def watch() -> None:
        with psycopg.connect(server.url()) as connection:
            query = "select split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int"
            main = psutil.Process(_one(connection, query)[0])
        while not done.wait(0.2):
            found = 0
            for process in main.children():
                with suppress(psutil.Error):
                    found += process.memory_full_info().uss
            peak[0] = max(peak[0], found)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def generate(database: Database, home: Path, size: int) -> None:
    """Create the tables as the ingest does, and fill them."""
    initialise(database)
    with Lock(database) as lock:
        landing = Loader(database, home, lock)
        landing.open()
        landing.close()
    script = (HERE / "transform_raw.sql").read_text("utf-8").replace("$1", str(size))
    with database.connect(INGEST) as connection:
        connection.execute(script.encode())
    with database.connect() as connection:
        connection.execute(f"create schema hand authorization {TRANSFORM}".encode())


def _sections(filled: Mapping[str, str]) -> dict[str, str]:
    """Return the sections of `transform.sql` by name, with their blanks filled."""
    script = (HERE / "transform.sql").read_text("utf-8")
    parts = re.split(r"^-- section: (.+)\n", script, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    blanks = {
        **filled,
        "windows": sections.pop("windows"),
        "login_key_of_review": LOGIN_KEY.format("reviews"),
        "login_key_of_pull_request": LOGIN_KEY.format("pull_requests"),
        "person_id": f"coalesce(author_id, 'login ' || {LOGIN_KEY.format('pull_requests')})",
    }
    for name, text in sections.items():
        for blank, value in blanks.items():
            text = text.replace(f"{{{blank}}}", value)
        sections[name] = text
    return sections


def _print_disk(database: Database, size: int) -> None:
    with database.connect() as connection:
        marts, hand, intermediate, raw = (int(one) / 2**20 for one in _one(connection, DISK))
    print(
        f"transform, {size:,} pull requests, on disk: marts {marts:,.0f} MiB "
        f"(by hand {hand:,.0f}), intermediate {intermediate:,.0f}, raw {raw:,.0f}"
    )


def _verdict(name: str, found: float, most: float) -> None:
    print(f"  {name}: {found:.2f}, {'within' if found <= most else 'OVER'} {most:g}")


def _one(connection: Connection[Any], query: str, parameters: Any = None) -> tuple[Any, ...]:
    row = connection.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return row
