"""Random teams and pull requests, with many events at the boundaries of rules.

hypothesis draws many companies, each with a few people, teams and pull requests. All events of a
company happen at or next to a few key instants, so that merges fall on the ends of windows and
periods. The company's name keeps its rows apart from those of others in the same database.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.reference import Coverage
from tests.reference.groups import ALWAYS, group_windows

Row = dict[str, Any]
ZONES = ("UTC", "Europe/Berlin", "Australia/Lord_Howe")
# Start and end of ISO years with 53 weeks, a leap day, months that begin on a Monday, and the
# Sundays on which summer time begins or ends (by half an hour in Lord Howe).
DAYS = (
    *("2020-12-28", "2021-01-01", "2021-01-04", "2024-02-29", "2024-03-01", "2024-03-31"),
    *("2024-04-01", "2024-04-07", "2024-04-08", "2024-10-06", "2024-10-07", "2024-10-27"),
    *("2024-12-30", "2025-01-01", "2025-01-06", "2025-02-03"),
)
CHANGES = ("2024-03-31T01:00Z", "2024-10-27T01:00Z", "2024-04-06T15:00Z", "2024-10-05T15:30Z")
INSTANTS = sorted(
    {
        datetime.combine(date.fromisoformat(day), time(), ZoneInfo(zone)).astimezone(UTC)
        for day in DAYS
        for zone in ZONES
    }
    | {datetime.fromisoformat(change) for change in CHANGES}
)
STEPS = [timedelta(), timedelta(), timedelta(seconds=1), -timedelta(seconds=1)]
STEPS += [timedelta(microseconds=1), -timedelta(microseconds=1), timedelta(hours=7, minutes=7)]
WEIGHTS = ["0.00", "0.01", "0.30", "0.33", "0.50", "0.70", "1.00"]
REPOSITORIES = ["acme/whole", "acme/partly", "acme/late", "acme/gone", "acme/dropped", "acme/new"]
BOT, USER = "Bot", "User"
RULES = [
    {"base": "main", "head": "develop", "reason": "between branches"},
    {"label": "no ?etrics", "title": "*change*", "reason": "by label"},
]
AUTOMATION = ["c1*-p1", "*-X"]


@st.composite
def companies(draw: st.DrawFn) -> Row:
    """Draw a company: its people's former logins, teams, pull requests. `@` stands for its name."""
    keys = sorted(draw(st.sets(st.sampled_from(INSTANTS), min_size=2, max_size=6)))
    people = [draw(_people(number)) for number in range(draw(st.integers(1, 4)))]
    if len(people) > 1 and draw(st.booleans()):
        # GitHub gives a login that became free to another account.
        people[0]["id"], people[1]["id"] = "U@0", "U@1"
        people[0]["type"] = people[1]["type"] = USER
        people[1]["former"] = people[0]["login"]
    teams = [draw(_teams(number, people, keys)) for number in range(draw(st.integers(1, 3)))]
    records = draw(st.lists(_pull_requests(people, keys), min_size=1, max_size=10))
    if draw(st.booleans()):
        # The last account belongs to the first person.
        _join(people, teams)
    return {"people": people, "teams": teams, "records": records}


def _join(people: list[Row], teams: list[Row]) -> None:
    main, other = people[0]["login"], people[-1]["login"]
    if main == other:
        return
    for team in teams:
        team["members"] = [one for one in team["members"] if _key(one) != other]
        for member in team["members"]:
            if _key(member) == main:
                member["also"] = [other.upper()]


def _key(member: Row) -> str:
    return str(member["github_username"]).lower().removesuffix("[bot]")


@st.composite
def _people(draw: st.DrawFn, number: int) -> Row:
    return {
        "id": draw(st.sampled_from([f"U@{number}", f"U@{number}", None])),
        "login": f"@p{number}",
        "former": draw(st.sampled_from([None, f"@old{number}"])),
        "type": draw(st.sampled_from([USER, USER, USER, BOT])),
    }


@st.composite
def _teams(draw: st.DrawFn, number: int, people: list[Row], keys: list[datetime]) -> Row:
    members = []
    is_dissolved = draw(st.booleans())
    logins = {person["login"] for person in people} | {
        person["former"] for person in people if person["id"] and person["former"]
    }
    for login in sorted(logins):
        ends = sorted(draw(st.sets(st.sampled_from(keys), max_size=4)))
        # Windows that touch or have a gap between them; the last one may be open.
        for start, end in pairwise([*ends, None]):
            if draw(st.integers(0, 3)) and (end or not is_dissolved):
                members.append(
                    {
                        "github_username": draw(_spelled(login)),
                        "allocation_weight": draw(st.sampled_from(WEIGHTS)),
                        "joined_at": start.isoformat(),
                        "left_at": end and end.isoformat(),
                        "also": [],
                    }
                )
    team = {"id": f"@t{number}", "name": f"Team {number}", "members": members}
    return team | draw(_groups(keys))


@st.composite
def _groups(draw: st.DrawFn, keys: list[datetime]) -> Row:
    """Draw a group without dates, or windows in groups that touch or have a gap between them."""
    paths = st.sampled_from(["@Eng", "@Eng/Web", "@Eng/Data", "@Ops"])
    if draw(st.booleans()):
        return {"group": draw(paths)}
    windows = []
    for start, end in pairwise([None, *sorted(draw(st.sets(st.sampled_from(keys)))), None]):
        if draw(st.booleans()):
            windows.append(
                {
                    "path": draw(paths),
                    "joined_at": start and start.isoformat(),
                    "left_at": end and end.isoformat(),
                }
            )
    return {"groups": windows}


@st.composite
def _pull_requests(draw: st.DrawFn, people: list[Row], keys: list[datetime]) -> Row:
    at = st.builds(lambda key, step: key + step, st.sampled_from(keys), st.sampled_from(STEPS))
    created_at, ended_at = sorted([draw(at), draw(at)])
    state = draw(st.sampled_from(["MERGED"] * 4 + ["CLOSED", "OPEN", "OPEN"]))
    # The status of an open pull request depends on several reviews.
    most = 8 if state == "OPEN" else 3
    reviews = st.lists(_reviews(people, [created_at, ended_at, *keys]), max_size=most)
    events = st.lists(st.tuples(st.booleans(), at), max_size=3)
    return {
        "repository": draw(st.sampled_from(REPOSITORIES)),
        "title": "A change",
        **draw(_accounts(people)),
        "state": state,
        "is_draft": draw(st.sampled_from([True, False, False])),
        "created_at": created_at.isoformat(),
        "closed_at": ended_at.isoformat() if state != "OPEN" else None,
        "merged_at": ended_at.isoformat() if state == "MERGED" else None,
        "base_ref": draw(st.sampled_from([None, "Main", "main"])),
        "head_ref": draw(st.sampled_from([None, "topic", "topic", "develop"])),
        "labels": draw(st.sampled_from([[], [], ["bug"], ["bug", "No Metrics"]])),
        "first_commit_at": draw(st.none() | at.map(datetime.isoformat)),
        "additions": draw(st.integers(0, 9)),
        "deletions": draw(st.none() | st.integers(0, 9)),
        "vanished_at": draw(st.sampled_from([None] * 9 + [ended_at.isoformat()])),
        "reviews": draw(reviews),
        "draft_events": [
            {
                "event": "convert_to_draft" if to_draft else "ready_for_review",
                "created_at": switched_at.isoformat(),
            }
            for to_draft, switched_at in sorted(draw(events), key=lambda event: event[1])
        ],
    }


@st.composite
def _reviews(draw: st.DrawFn, people: list[Row], instants: list[datetime]) -> Row:
    states = ["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED", "PENDING"]
    state = draw(st.sampled_from(states))
    at = draw(st.sampled_from(instants)) + draw(st.sampled_from(STEPS))
    return {
        **draw(_accounts(people)),
        "state": state,
        "submitted_at": None if state == "PENDING" else at.isoformat(),
    }


@st.composite
def _accounts(draw: st.DrawFn, people: list[Row]) -> Row:
    """Draw an actor: one of the people, an outsider, or a deleted account."""
    outsider = {
        "id": "U@x",
        "login": "@x",
        "former": None,
        "type": draw(st.sampled_from([USER, BOT])),
    }
    person = draw(st.sampled_from([*people, *people, outsider, None]))
    if person is None:
        return {"author_id": None, "author": None, "author_type": None}
    login = draw(_spelled(person["login"]))
    return {"author_id": person["id"], "author": login, "author_type": person["type"]}


def _spelled(login: str) -> st.SearchStrategy[str]:
    return st.sampled_from([login, login, login.upper(), f"{login}[bot]", f"{login.title()}[BOT]"])


@st.composite
def coverages(draw: st.DrawFn, is_whole: bool) -> dict[str, Coverage]:
    """Draw the coverage of each repository, with its ends at instants of other events.

    If `is_whole`, the whole history of one is loaded; it then begins with its pull requests.
    """
    at = st.sampled_from(INSTANTS)
    late = st.sampled_from([instant for instant in INSTANTS if instant.year == 2025])
    begun = st.sampled_from([instant for instant in INSTANTS if instant.year < 2025])
    return {
        "acme/whole": Coverage(None if is_whole else draw(begun), draw(late)),
        "acme/partly": Coverage(draw(begun), draw(late)),
        "acme/late": Coverage(draw(begun), draw(late)),
        "acme/gone": Coverage(None, draw(at), counted=False),
        "acme/dropped": Coverage(draw(at), draw(at), counted=False),
        "acme/new": Coverage(None, None),
        "acme/empty": Coverage(None, draw(late)),
    }


def drawn(strategy: st.SearchStrategy[Any], seed: int) -> Any:
    """Draw a value with hypothesis, the same for the same seed.

    Takes the second value of a run: the first is always the simplest, later ones are variations.
    """
    values: list[Any] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=2,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        values.append(value)

    collect()
    return values[-1]


def random_world(
    seed: int, count: int
) -> tuple[list[Row], list[Row], dict[str, list[str]], dict[str, str]]:
    """Return records, teams, former logins and current login owners of `count` companies."""
    records: list[Row] = []
    teams: list[Row] = []
    logins: dict[str, list[str]] = {}
    bearers: dict[str, str] = {}
    for number in range(count):
        company = drawn(companies(), seed * count + number)
        named = json.loads(json.dumps(company).replace("@", f"c{number}-"))
        teams += named["teams"]
        for person in named["people"]:
            if person["id"]:
                bearers[person["login"]] = person["id"]
            if person["id"] and person["former"]:
                logins[person["id"]] = [person["former"]]
        for record in named["records"]:
            number_of_record = len(records) + 1
            records.append({"id": f"PR_{number_of_record}", "number": number_of_record} | record)
    return records, teams, logins, bearers


def raw_rows(
    records: list[Row],
    teams: list[Row],
    logins: dict[str, list[str]],
    bearers: dict[str, str],
    coverage: dict[str, Coverage],
) -> dict[str, list[Row]]:
    """Return the rows of `raw`, by table, that an ingest would have loaded for these."""
    return {
        "repositories": [
            {
                "id": f"R_{name}",
                "repository": name,
                "is_configured": name != "acme/dropped",
                "unreachable_since": "2024-01-01T00:00Z" if name == "acme/gone" else None,
                "covered_from": covered.covered_from,
                "covered_to": covered.covered_to,
            }
            for name, covered in coverage.items()
        ],
        "pull_requests": [_pull_request(record) for record in records],
        "pull_request_reviews": [
            {"id": f"{record['id']}_R{place}", "pull_request_id": record["id"], **_account(review)}
            | {name: review[name] for name in ("state", "submitted_at")}
            for record in records
            for place, review in enumerate(record["reviews"])
        ],
        "pull_request_draft_events": [
            {"id": f"{record['id']}_E{place}", "pull_request_id": record["id"], "position": place}
            | event
            for record in records
            for place, event in enumerate(record["draft_events"])
        ],
        "user_logins": [
            {"user_id": user, "login": login, "seen_at": "2020-01-01T00:00Z"}
            for user, seen in logins.items()
            for login in seen
        ]
        + [
            {"user_id": user, "login": login, "seen_at": "2025-01-01T00:00Z"}
            for login, user in bearers.items()
        ],
        "settings": [
            {"name": "pull_requests", "value": RULES},
            {"name": "automation_logins", "value": AUTOMATION},
        ],
        "teams": [{"team_id": team["id"], "name": team["name"]} for team in teams],
        "team_memberships": [
            {"team_id": team["id"], **member, "also": ",".join(member["also"]) or None}
            for team in teams
            for member in team["members"]
        ],
        "team_groups": list(team_groups(teams)),
    }


def team_groups(teams: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows of `raw.team_groups`."""
    for window in group_windows(teams):
        if window.group_id != "all":
            yield {
                "team_id": window.team_id,
                "group_id": window.group_id,
                "name": window.group_id,
                "parent_group_id": window.group_id.rpartition(".")[0] or "all",
                "joined_at": None if window.joined_at == ALWAYS else window.joined_at,
                "left_at": window.left_at,
            }


def _account(row: Row) -> Row:
    return {
        "author_id": row["author_id"],
        "author_login": row["author"],
        "author_type": row["author_type"],
    }


def _pull_request(record: Row) -> Row:
    left_out = ("author", "reviews", "draft_events")
    return {name: value for name, value in record.items() if name not in left_out} | {
        **_account(record),
        "repository_id": f"R_{record['repository']}",
        "url": f"https://github.com/{record['repository']}/pull/{record['number']}",
        "updated_at": record["closed_at"] or record["created_at"],
    }


def occasions(records: list[Row], teams: list[Row]) -> Counter[str]:
    """Count the occurrences of each boundary case in the random data."""
    found: Counter[str] = Counter()
    windows = [member for team in teams for member in team["members"]]
    starts = {(w["github_username"].lower().removesuffix("[bot]"), w["joined_at"]) for w in windows}
    ends = {(w["github_username"].lower().removesuffix("[bot]"), w["left_at"]) for w in windows}
    for record in records:
        login = record["author"] and record["author"].lower().removesuffix("[bot]")
        merged_at, created_at = record["merged_at"], record["created_at"]
        found["merged as a window opens"] += (login, merged_at) in starts
        found["merged as a window closes"] += (login, merged_at) in ends
        found["merged at a hand-over"] += (login, merged_at) in starts & ends
        found["created as a window opens"] += (login, created_at) in starts
        found["merged and vanished"] += bool(merged_at and record["vanished_at"])
    found["weight of zero"] = sum(w["allocation_weight"] == "0.00" for w in windows)
    found["leap day"] = sum(str(w["joined_at"]).startswith("2024-02-2") for w in windows)
    found["window that touches"] = len(starts & ends)
    found["in other letters"] = sum("-P" in w["github_username"] for w in windows)
    found["by its bot's name"] = sum("[bot]" in w["github_username"] for w in windows)
    found["team that all have left"] = sum(
        all(member["left_at"] for member in team["members"]) for team in teams
    )
    ends_in_groups = {window["left_at"] for team in teams for window in team.get("groups", [])}
    found["merged as a team leaves a group"] = sum(
        record["merged_at"] is not None and record["merged_at"] in ends_in_groups
        for record in records
    )
    found["team without members"] = sum(not team["members"] for team in teams)
    return found
