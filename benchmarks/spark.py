"""Apache Spark, with several executors, computes the rollups again from an export.

The statements and expressions are those of docs/export.md. Needs the extra `spark` and Java 17
or 21. `SIZES="100000 1000000"` in the environment sets the numbers of pull requests. With `EXPORT`
in the environment, the export in that folder is checked instead.
"""

import json
import math
import os
import re
import time
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.transform import HERE, Bench, generate
from dora import embedded_postgres
from dora.database import Database
from dora.embedded_postgres import Embedded
from export.destination import open_destination
from export.run import export_marts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SIZES = tuple(int(size) for size in os.environ.get("SIZES", "100000").split())
# Two executors with a core and a gigabyte each, in separate processes.
MASTER = "local-cluster[2, 1, 1024]"
PAGE = Path(__file__).parents[1] / "docs" / "export.md"
MARTS = ("fct_team_velocity_weekly", "fct_team_lead_time_monthly")
Figures = dict[tuple[str, date], dict[str, Any]]


def measure(home: Path) -> None:
    """Print for each export the differences between Spark's rollups and the marts."""
    try:
        import pyspark
    except ModuleNotFoundError:
        print("spark: skipped, because pyspark is not installed (the extra `spark`)")
        return
    os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))
    if folder := os.environ.get("EXPORT"):
        _check(Path(folder))
        return
    server = embedded_postgres.start(home)
    try:
        for size in SIZES:
            print(f"spark, {size:,} pull requests")
            _check(_export(server, home, size))
    finally:
        embedded_postgres.stop(home)


def _export(server: Embedded, home: Path, size: int) -> Path:
    name = f"spark_{size}"
    server.create_database(name)
    bench = Bench(Database(server.url(name)), home / "target")
    generate(bench.database, home, size)
    bench.change((HERE / "transform_deliveries.sql").read_text("utf-8"))
    bench.build()
    folder = home / f"exported-for-spark-{size}"
    export_marts(bench.database, open_destination(str(folder)), keep=1)
    return folder


def _check(folder: Path) -> None:
    from pyspark.sql import SparkSession

    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    builder = SparkSession.builder.master(MASTER).appName("dora export")
    options = {
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "8",
    }
    for name, value in options.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    try:
        for name, mart in manifest["marts"].items():
            files = [str(folder / file["path"]) for file in mart["files"]]
            spark.read.parquet(*files).createOrReplaceTempView(name)
            found = spark.table(name).count()
            if found != mart["rows"]:
                raise SystemExit(f"{name}: Spark reads {found} rows instead of {mart['rows']}")
        _compare_rollups(spark)
        _compare_expressions(spark)
    finally:
        spark.stop()


def _compare_rollups(spark: "SparkSession") -> None:
    statements = re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    for mart, statement in zip(MARTS, statements, strict=True):
        context = spark.sparkContext
        context.setJobGroup(mart, mart)
        began = time.perf_counter()
        found = _figures(spark, statement)
        seconds = time.perf_counter() - began
        tracker = context.statusTracker()
        stages = [
            stage
            for job in tracker.getJobIdsForGroup(mart)
            if (info := tracker.getJobInfo(job))
            for stage in info.stageIds
        ]
        executors = len(context._jsc.sc().statusTracker().getExecutorInfos()) - 1
        expected = _figures(spark, f"select * from {mart} where prs_merged > 0")
        worst = _differ_by(mart, found, expected)
        print(
            f"  {mart}: {len(found):,} rows; counts and weights equal, hours within {worst:.1e};"
            f" {seconds:.1f} s, {executors} executors, {len(stages)} stages"
        )


def _figures(spark: "SparkSession", statement: str) -> Figures:
    rows = (row.asDict() for row in spark.sql(statement).collect())
    return {(row.pop("team_id"), row.pop("week", None) or row.pop("month")): row for row in rows}


def _differ_by(mart: str, found: Figures, expected: Figures) -> float:
    """The largest relative difference of hours; exit if anything else differs."""
    if not found or found.keys() != expected.keys():
        raise SystemExit(f"{mart}: Spark finds {len(found)} rows instead of {len(expected)}")
    worst = 0.0
    for key, figures in found.items():
        for name, value in figures.items():
            other = expected[key][name]
            if isinstance(value, float) and isinstance(other, float):
                worst = max(worst, abs(value - other) / max(abs(value), abs(other), 1e-300))
            elif value != other:
                raise SystemExit(f"{mart}.{name} of {key}: Spark finds {value}, Postgres {other}")
    if not worst < 1e-9:
        raise SystemExit(f"{mart}: hours differ by {worst}")
    return worst


def _compare_expressions(spark: "SparkSession") -> None:
    """Compare with DuckDB's expressions, which the tests compare with Postgres's."""
    import duckdb

    week, hours, percentile, label = _expressions("Spark")
    query = "select pull_request_id, {}, {}, {} from fct_pull_requests where merged_at is not null"
    by_spark = spark.sql(query.format(week, hours, label)).collect()
    files = list(spark.table("fct_pull_requests").inputFiles())
    with closing(duckdb.connect()) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.read_parquet(files, hive_partitioning=False).create_view("fct_pull_requests")
        week, hours, p95, label = _expressions("DuckDB")
        rows = connection.execute(query.format(week, hours, label)).fetchall()
        (limit,) = connection.execute(f"select {p95} from fct_pull_requests").fetchone() or (0,)
    if sorted(map(tuple, by_spark)) != sorted(rows):
        raise SystemExit("Spark's expressions differ from DuckDB's")
    (p95_found,) = spark.sql(f"select {percentile} from fct_pull_requests").collect()[0]
    if not math.isclose(p95_found, limit, rel_tol=1e-9):
        raise SystemExit(f"95th percentile: Spark finds {p95_found}, DuckDB {limit}")
    print(f"  expressions: weeks, hours and labels of {len(rows):,} pull requests equal")


def _expressions(engine: str) -> list[str]:
    """Week, hours, percentile and label."""
    rows = re.findall(rf"^\| {engine} \| `(.+)` \| `(.+)` \|$", PAGE.read_text("utf-8"), re.M)
    return [cell for row in rows for cell in row]
