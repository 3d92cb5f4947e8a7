"""Print the result of `dora teams diff`: tables for people, JSON for programs."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from rich.table import Table

from cli.console import out, tell
from cli.team_diff import Configuration, Diff, Row, TeamDiff
from dora.plurals import counted

_NONE = "-"
# Wider than any table, so that piped output is not wrapped.
_WIDE = 1000
# A figure's heading, its name in the mart and its format.
_VELOCITY = (
    ("merged", "prs_merged", "{:d}"),
    ("weighted\nmerged", "weighted_prs_merged", "{:.2f}"),
    ("mean\nhours", "avg_cycle_time_hours", "{:.1f}"),
    ("weighted\nmean hours", "weighted_avg_cycle_time_hours", "{:.1f}"),
    ("contri-\nbutors", "contributors", "{:d}"),
)
_LEAD_TIME = (
    ("mer-\nged", "prs_merged", "{:d}"),
    ("median", "median_lead_time_hours", "{:.1f}"),
    ("p95", "p95_lead_time_hours", "{:.1f}"),
    ("weighted\nmedian", "weighted_median_lead_time_hours", "{:.1f}"),
    ("weighted\np95", "weighted_p95_lead_time_hours", "{:.1f}"),
    ("coding", "median_coding_hours", "{:.1f}"),
    ("draft", "median_draft_hours", "{:.1f}"),
    ("pick-\nup", "median_pickup_hours", "{:.1f}"),
    ("review", "median_review_hours", "{:.1f}"),
)


def print_diff(diff: Diff, file: str, limit: int) -> None:
    """Print tables of each team's weeks, months and pull requests that differ.

    Shows the newest `limit` pull requests of each team; all if it is 0.
    """
    if diff.before.configuration == diff.after:
        tell(f"{file} changes nothing: the marts were built with this configuration")
        return
    built = _said(diff.before.built_at) if diff.before.built_at else "no build yet"
    tell(f"- the marts' configuration ({built})\n+ {file}\n")
    for line in changes(diff.before.configuration, diff.after):
        tell(line)
    if not diff.teams:
        tell(f"{file} changes no figure and moves no pull request")
        tell(_loaded(diff))
        return
    for team in diff.teams:
        tell(f"\n{team.team_id}")
        _print(_figures(team.velocity, "week", _VELOCITY))
        _print(_figures(team.lead_time, "month", _LEAD_TIME))
        _print_pull_requests(team.pull_requests, limit)
    tell(f"\n{_summary(diff.teams)}\n{_loaded(diff)}")


def print_json(diff: Diff) -> None:
    """Print everything as one JSON object: teams, each with the rows that differ."""
    document = {
        "built_at": diff.before.built_at,
        "as_of": diff.as_of,
        **diff.before.variables,
        "teams": [asdict(team) for team in diff.teams],
    }
    tell(json.dumps(document, default=_plain, ensure_ascii=False))


def changes(before: Configuration, after: Configuration) -> Iterable[str]:
    """List the differences between the configurations; `-` and `+` as in the tables."""
    for title, old, new in (
        ("teams", before.teams, after.teams),
        ("windows", before.windows, after.windows),
    ):
        gone, come = old - new, new - old
        if gone or come:
            yield f"{title}:"
        marked = [(row, "-") for row in gone] + [(row, "+") for row in come]
        for row, mark in sorted(marked, key=lambda one: (*map(str, one[0][:2]), one[1] == "+")):
            yield f"  {mark} {', '.join(_said(value) for value in row if value is not None)}"


def _said(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:.2f}"
    if not isinstance(value, datetime):
        return str(value)
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%MZ}".replace("T00:00Z", "")


def _loaded(diff: Diff) -> str:
    if diff.as_of is None:
        return "(no data for figures are loaded yet)"
    return f"(over all loaded data, up to {diff.as_of.astimezone(UTC):%Y-%m-%d %H:%M}Z)"


def _summary(teams: Sequence[TeamDiff]) -> str:
    counts = {
        "week": sum(len(team.velocity) for team in teams),
        "month": sum(len(team.lead_time) for team in teams),
        "pull request": sum(len(team.pull_requests) for team in teams),
    }
    told = ", ".join(counted(count, name) for name, count in counts.items())
    return f"{counted(len(teams), 'team changes', 'teams change')}: {told}"


def _figures(rows: Sequence[Row], column: str, figures: Sequence[tuple[str, str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column(f"\n{column}", no_wrap=True)
    table.add_column("")
    for heading, _, _ in figures:
        table.add_column(heading if "\n" in heading else f"\n{heading}", justify="right")
    for row in rows:
        period = str(row[column])[: len("2026-01")] if column == "month" else str(row[column])
        for side, mark, style in (("before", "-", "red"), ("after", "+", "green")):
            if (found := row[side]) is not None:
                values = [_figure(found[name], form) for _, name, form in figures]
                table.add_row(period, mark, *values, style=style)
                period = ""
    return table


def _figure(value: Any, form: str) -> str:
    return _NONE if value is None else form.format(value)


def _print_pull_requests(rows: Sequence[Row], limit: int) -> None:
    shown = rows[-limit:] if limit else rows
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("pull request", overflow="fold")
    table.add_column("author", overflow="fold")
    table.add_column("merged", no_wrap=True)
    table.add_column("weight", no_wrap=True)
    for row in shown:
        merged = f"{row['merged_at'].astimezone(UTC):%Y-%m-%d}" if row["merged_at"] else None
        weight = " -> ".join(_figure(row[side], "{:.2f}") for side in ("before", "after"))
        name = f"{row['repository']}#{row['number']}"
        table.add_row(name, row["author"] or _NONE, merged or row["state"], weight)
    _print(table)
    if more := len(rows) - len(shown):
        tell(f"and {counted(more, 'earlier one')}; --limit 0 shows them all")


def _print(table: Table) -> None:
    if table.row_count:
        out.print(table, width=None if out.is_terminal else _WIDE)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else float(value)
