"""`dora export`: the marts as Parquet files."""

from typing import Annotated

import typer

from cli.console import bars, log, say, set_up_logging, tell
from cli.demo_github import with_demo_database
from cli.ending import ended_in_order
from dora.database import open_database
from dora.errors import ConfigurationError
from dora.plurals import counted
from dora.settings import load_settings

_NO_TABLE_FORMATS = (
    "each would be a transaction per table, so that a reader could see two builds, and would write"
    " unchanged rows again; docs/export.md shows how Spark, DuckDB and Polars read the Parquet"
    " files of one build"
)


def export(
    to: Annotated[str, typer.Option("--to", help="A folder, or s3://BUCKET/PREFIX.")],
    file_format: Annotated[str, typer.Option("--format", help="Only parquet.")] = "parquet",
    keep: Annotated[int, typer.Option(help="How many builds to keep.", min=1)] = 3,
    demo: Annotated[bool, typer.Option("--demo", help="Export the demo organisation.")] = False,
) -> None:
    """Export the marts of the published build as Parquet files."""
    if file_format != "parquet":
        known = file_format in {"delta", "iceberg"}
        reason = f" ({_NO_TABLE_FORMATS})" if known else ""
        raise ConfigurationError(f"--format {file_format} is not supported{reason}: use parquet")
    try:
        from export.destination import open_destination
        from export.run import export_marts
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error.name} is not installed: install dora-metrics[export]"
        ) from None
    settings = load_settings()
    set_up_logging(settings.log_level)
    destination = open_destination(to)
    database = open_database(with_demo_database(settings) if demo else settings)
    with bars() as progress, ended_in_order():
        task = progress.add_task("export", total=None, note="")

        def show(name: str, count: int) -> None:
            progress.update(task, total=count, note=name, advance=1)
            log(f"export: {name}")

        exported = export_marts(
            database,
            destination,
            keep,
            on_wait=lambda: say("another export is running; waiting for it to finish"),
            on_mart=show,
        )
    marts = exported.manifest["marts"].values()
    files = sum(len(mart["files"]) for mart in marts)
    tell(
        f"export: build {exported.manifest['build']['build_id']},"
        f" {counted(len(marts), 'mart')}, {counted(sum(mart['rows'] for mart in marts), 'row')};"
        f" {exported.files} of {counted(files, 'file')} written"
        f" ({exported.size / 1e6:.1f} MB) to {destination}"
    )
