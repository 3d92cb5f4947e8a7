"""Short helpers for tests: make pull requests and teams, and read the reference's rows."""

from datetime import date
from typing import Any

from tests.reference import Coverage, Marts, reference

REPOSITORY = "acme/shop"

Row = dict[str, Any]


def at(short: str) -> str:
    """Complete `01-05`, `01-05T09`, `01-05T09:30` or `2024-02-29T09` to an ISO instant."""
    day, _, clock = short.partition("T")
    day = day if len(day) > 5 else f"2026-{day}"
    clock = clock or "00"
    return f"{day}T{clock}{':00:00'[3 * clock.count(':') :]}Z"


def pr(number: int, author: str | None, created: str, merged: str | None, **more: Any) -> Row:
    merged_at = None if merged is None else at(merged)
    return {
        "repository": REPOSITORY,
        "number": number,
        "title": f"Change {number}",
        "author": author,
        "state": "OPEN" if merged is None else "MERGED",
        "created_at": at(created),
        "closed_at": merged_at,
        "merged_at": merged_at,
        "first_commit_at": None,
        "reviews": [],
    } | more


def review(by: str | None, when: str | None, **more: Any) -> Row:
    return {"author": by, "state": "APPROVED", "submitted_at": when and at(when)} | more


def switches(*events: tuple[str, str]) -> list[Row]:
    names = {"ready": "ready_for_review", "draft": "convert_to_draft"}
    return [{"event": names[to], "created_at": at(when)} for to, when in events]


def team(name: str, *members: tuple[str, Any, str, str | None]) -> Row:
    keys = ("github_username", "allocation_weight", "joined_at", "left_at")
    return {"id": name, "members": [dict(zip(keys, member, strict=True)) for member in members]}


def work_out(
    records: list[Row],
    *teams: Row,
    as_of: str | None = "2026-01-20",
    covered_from: str | None = None,
    **options: Any,
) -> Marts:
    covered = Coverage(covered_from and at(covered_from), as_of and at(as_of))
    return reference(records, teams, {REPOSITORY: covered}, **options)


def merged_by_period(rows: dict[tuple[str, date], Row], name: str = "core") -> dict[str, Any]:
    return {str(key[1]): row["prs_merged"] for key, row in rows.items() if key[0] == name}


def complete_periods(rows: dict[tuple[str, date], Row]) -> list[str]:
    return [str(period) for (_, period), row in rows.items() if row["is_complete"]]


def weights(marts: Marts, number: int) -> dict[str, str]:
    rows = marts.team_pull_requests.items()
    return {key[0]: f"{row['weight']:.2f}" for key, row in rows if key[2] == number}


def fact(record: Row, *teams: Row, **options: Any) -> Row:
    marts = work_out([record], *(teams or (ADA, WEB)), **options)
    return marts.pull_requests[REPOSITORY, record["number"]]


def phases(record: Row) -> tuple[Any, ...]:
    row = fact(record)
    names = ("coding", "draft", "pickup", "review", "total")
    return tuple(row[f"{name}_hours"] for name in names)


ADA = team("core", ("ada", 1, "2026-01-01", None))

CORE = team("core", ("Ada", 0.5, "2026-01-01", "2026-01-12"), ("Ada", 1.0, "2026-01-12", None))

WEB = team("web", ("Ada", 0.5, "2026-01-01", "2026-01-12"), ("Bob", 1.0, "2026-01-01", None))

EXAMPLES = [
    pr(1, "Ada", "01-05T09", "01-06T09"),
    pr(2, "Bob", "01-05T09", "01-05T19"),
    pr(3, "Ada", "01-11T00", "01-12T00"),
    pr(4, "Eve", "01-05T00", "01-05T01"),
]

PR_5 = pr(
    5,
    "Bob",
    "01-05T08",
    "01-05T18",
    first_commit_at=at("01-04T20"),
    draft_events=switches(("ready", "01-05T12")),
    reviews=[review("Ada", "01-05T10"), review("helper", "01-05T12:05", author_type="Bot")],
)

PR_6 = pr(
    6,
    "Bob",
    "01-06T09",
    "01-06T15",
    first_commit_at=at("01-06T10"),
    draft_events=switches(("draft", "01-06T11"), ("ready", "01-06T13")),
)
