"""Teams from a CSV file of people, such as an export of an HR system, and back."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import ValidationError
from slugify import slugify

from dora.errors import ConfigurationError
from ingest.csv_dates import is_complete, read_dates
from ingest.team_faults import message_of
from ingest.teams import Member, Team, overlaps, person, shared_accounts

# A column's name, and other names for it, in lower case with spaces.
COLUMNS = {
    "team_id": ("team id",),
    "team": ("team", "team name", "squad"),
    "description": ("description", "team description"),
    "login": ("login", "github", "github login", "github username", "github user"),
    "also": ("also", "other logins"),
    "weight": ("weight", "allocation weight", "allocation", "share", "fte"),
    "joined": ("joined", "joined at", "join date", "start", "start date"),
    "left": ("left", "left at", "leave date", "end", "end date"),
}
_NEEDED = ("login", "team", "joined")
# An instant as `dora teams export` writes it, unlike a date.
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}.*")
_FIELDS = {
    "github_username": "login",
    "also": "also",
    "allocation_weight": "weight",
    "joined_at": "joined",
    "left_at": "left",
}


@dataclass
class _Row:
    """A line's values by column, without empty ones."""

    line: int
    values: dict[str, str]
    dates: dict[str, datetime | str] = field(default_factory=dict)


@dataclass(frozen=True)
class People:
    """The teams of a CSV file, and the names of the columns that were not used."""

    teams: list[Team]
    unused: list[str]


def parse_people(
    text: str, source: str, columns: Mapping[str, str], date_format: str | None = None
) -> People:
    """Parse a CSV file with a header; raise `ConfigurationError` with every fault.

    `columns` has the header's name for some of `COLUMNS`. Delimiters are commas, semicolons or
    tabs. Faults name the line of an editor.
    """
    try:
        lines = list(_lines(text.removeprefix("\ufeff")))
    except csv.Error as error:
        raise ConfigurationError(f"{source} is not valid CSV: {error}") from None
    if not lines:
        raise ConfigurationError(f"{source} is empty")
    (_, header), *body = lines
    header = [name.strip() for name in header]
    places, faults = _places(header, columns)
    if date_format and not is_complete(date_format):
        faults.append(
            f"--date-format {date_format!r} should name day, month and year, as in %d/%m/%Y"
        )
    if faults:
        raise ConfigurationError([f"{source}: {fault}" for fault in faults])
    rows = []
    for line, values in body:
        if len(values) > len(header):
            faults.append(f"line {line} has {len(values)} values, the header {len(header)}")
        found = {name: values[at].strip() for name, at in places.items() if at < len(values)}
        rows.append(_Row(line, {name: value for name, value in found.items() if value}))
    faults += _read_dates(rows, date_format)
    teams = _teams(rows, faults)
    if not rows:
        faults.append("has no line below its header")
    if faults:
        raise ConfigurationError([f"{source}: {fault}" for fault in sorted(faults, key=_line)])
    return People(teams, [name for at, name in enumerate(header) if at not in places.values()])


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield records that are not empty, each with its first line."""
    if "\0" in text:
        raise csv.Error("it contains a NUL, which Postgres cannot store")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    for values in reader:
        if any(value.strip() for value in values):
            yield line, values
        line = reader.line_num + 1


def _line(fault: str) -> int:
    number = re.search(r"line (\d+)", fault)
    return int(number[1]) if number else 0


def _places(header: list[str], columns: Mapping[str, str]) -> tuple[dict[str, int], list[str]]:
    """Return the position of each column, and the faults."""
    faults = [
        f"--column {name} is unknown: the columns are {', '.join(COLUMNS)}"
        for name in columns
        if name not in COLUMNS
    ]
    places: dict[str, int] = {}
    for name, synonyms in COLUMNS.items():
        wanted = (columns[name],) if name in columns else synonyms
        titles = header if name in columns else [_plain(title) for title in header]
        at = [at for at, title in enumerate(titles) if title in wanted]
        if len(at) == 1:
            places[name] = at[0]
        elif at:
            shown = " and ".join(repr(header[each]) for each in at)
            faults.append(f"{shown} may all be {name}: name one by --column {name}=NAME")
        elif name in columns or name in _NEEDED:
            missing = repr(columns[name]) if name in columns else name
            faults.append(
                f"has no column {missing}; it has {', '.join(map(repr, header))}: "
                f"name it by --column {name}=NAME"
            )
    return places, faults


def _plain(title: str) -> str:
    return re.sub(r"[\s_-]+", " ", title).casefold()


def _read_dates(rows: list[_Row], date_format: str | None) -> list[str]:
    """Read the dates of all rows; return the faults."""
    faults = []
    for column in ("joined", "left"):
        texts = {}
        for row in rows:
            text = row.values.get(column)
            if text and _INSTANT.fullmatch(text):
                row.dates[column] = text
            elif text:
                texts[row.line] = text
        dates, found = read_dates(column, texts, date_format)
        faults += found
        for row in rows:
            if row.line in dates:
                row.dates[column] = datetime.combine(dates[row.line], time(), UTC)
    return faults


def _teams(rows: list[_Row], faults: list[str]) -> list[Team]:
    """Return the teams of the valid rows; add every other fault to `faults`."""
    teams: dict[str, Team] = {}
    named: dict[str, dict[str, int]] = defaultdict(dict)
    lines: dict[int, int] = {}
    for row in rows:
        name = row.values.get("team")
        if name is None:
            faults.append(f"line {row.line}: team is empty")
            continue
        # A name without letters and digits makes an empty id, which is a fault of the team.
        key = row.values.get("team_id") or slugify(name) or name
        named[key].setdefault(name, row.line)
        if key not in teams:
            teams[key] = _team(name, row, faults)
        member = _member(row, faults)
        if member is not None:
            teams[key].members.append(member)
            lines[id(member)] = row.line
    for team_id, names in named.items():
        if len(names) > 1:
            shown = " and ".join(f"{name!r} (line {line})" for name, line in names.items())
            faults.append(f"{shown} have the same id {team_id!r}: give each a team_id")
    found = list(teams.values())
    faults += _between(found, lines)
    return found


def _team(name: str, row: _Row, faults: list[str]) -> Team:
    team_id, description = row.values.get("team_id", ""), row.values.get("description")
    try:
        return Team(id=team_id, name=name, description=description, members=[])
    except ValidationError as error:
        faults += [
            f"line {row.line}: team {name!r}: {message_of(fault)}"
            for fault in error.errors(include_url=False)
        ]
        # A stand-in, so that the faults of the members are found too.
        return Team.model_construct(id=team_id, name=name, description=None, members=[])


def _member(row: _Row, faults: list[str]) -> Member | None:
    values = row.values
    given: dict[str, Any] = {
        "github_username": values.get("login"),
        "also": values.get("also", "").split(),
        "joined_at": row.dates.get("joined"),
        "left_at": row.dates.get("left"),
    }
    if "weight" in values:
        given["allocation_weight"] = _weight(values["weight"])
    for name in ("login", "joined"):
        if name not in values:
            faults.append(f"line {row.line}: {name} is empty")
    has_dates = all(name in row.dates for name in ("joined", "left") if name in values)
    if not has_dates:
        # Their faults are already listed; look for others.
        given |= {"joined_at": datetime.min.replace(tzinfo=UTC), "left_at": None}
    try:
        member = Member.model_validate(given)
        return member if has_dates else None
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            column = _FIELDS.get(str(fault["loc"][0])) if fault["loc"] else None
            if fault["input"] is not None:
                place = f"{column}: " if column else ""
                faults.append(f"line {row.line}: {place}{message_of(fault)}")
        return None


def _weight(text: str) -> str:
    """Return a share with a decimal point: `0,5` and `50 %` are 0.5."""
    number = text.replace(",", ".")
    try:
        if number.endswith("%"):
            return f"{Decimal(number.rstrip('% ')) / 100:f}"
    except InvalidOperation:
        return text
    return number


def _between(teams: list[Team], lines: Mapping[int, int]) -> Iterator[str]:
    """Yield the faults between windows: overlaps, and accounts of several people."""
    for team in teams:
        for before, member in overlaps(team.members):
            yield (
                f"line {lines[id(member)]}: {member.github_username} is in {team.id} from "
                f"{before.joined_at:%Y-%m-%d} already, by line {lines[id(before)]}"
            )
    members = [member for team in teams for member in team.members]
    for login, owners in shared_accounts(teams):
        people = {person(owner) for owner in owners}
        where = [lines[id(one)] for one in members if person(one.github_username) in people]
        shown = " and ".join(owners)
        yield f"line {max(where)}: {login} is an account of {shown}: list a person under one login"


def write_people(teams: Iterable[Team]) -> str:
    """Return teams as CSV; `parse_people` reads the same teams from it, without empty ones."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for team in teams:
        for member in team.members:
            writer.writerow(
                (
                    team.id,
                    team.name,
                    team.description,
                    member.github_username,
                    " ".join(member.also),
                    f"{member.allocation_weight:.2f}",
                    _text(member.joined_at),
                    _text(member.left_at) if member.left_at else None,
                )
            )
    return text.getvalue()


def _text(instant: datetime) -> str:
    instant = instant.astimezone(UTC)
    return instant.date().isoformat() if instant.time() == time() else instant.isoformat()
