"""Reads the team configuration, checks it by the rules of docs/metrics.md, makes its rows."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from slugify import slugify

from dora.errors import ConfigurationError
from dora.remote_config import read_reference

SOURCE = "TEAM_CONFIG_JSON"
RESERVED = "unassigned"
_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
FOREVER = datetime.max.replace(tzinfo=UTC)


def _instant(value: Any) -> Any:
    """Read a date as midnight UTC; refuse a time of day without a zone."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        value = datetime.combine(date.fromisoformat(value), time(), UTC)
    elif isinstance(value, str):
        with suppress(ValueError):
            value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        raise ValueError("should be a date like 2026-01-31 or an instant like 2026-01-31T12:00:00Z")
    if value.tzinfo is None:
        raise ValueError("has a time of day without a zone; add Z or an offset")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is before the year 1 or after the year 9999") from None


def _exact(value: Any) -> Any:
    """Return the decimal as it was written, not the nearest binary fraction."""
    if isinstance(value, bool):
        raise ValueError("should be a number")
    percent = _PERCENT.fullmatch(str(value))
    if percent and (percent[2] or 2 <= Decimal(percent[1]) <= 100):
        share = (Decimal(percent[1]) / 100).normalize()
        raise ValueError(f"should be from 0.00 to 1.00: {percent[1]} % is {share:f}")
    return Decimal(repr(value)) if isinstance(value, float) else value


Instant = Annotated[datetime, BeforeValidator(_instant)]
Weight = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(ge=0, le=1, max_digits=3, decimal_places=2, allow_inf_nan=False),
]


def person(login: str) -> str:
    """Return the login to compare by: in lower case, without `[bot]`."""
    return login.casefold().removesuffix("[bot]")


Login = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*(\[bot\])?$")]


class Member(BaseModel):
    """A window of one person in one team, `[joined_at, left_at)`.

    `also` are the logins of the person's other accounts. They apply to every window of the person.
    """

    model_config = ConfigDict(extra="forbid")

    github_username: Login
    also: list[Login] = Field(default_factory=list)
    allocation_weight: Weight = Decimal("1.00")
    joined_at: Instant
    left_at: Instant | None = None

    @model_validator(mode="after")
    def _leaves_after_joining(self) -> Self:
        if self.left_at is not None and self.left_at <= self.joined_at:
            raise ValueError(
                f"left_at {self.left_at:%Y-%m-%dT%H:%MZ} of {self.github_username} "
                f"is not after joined_at {self.joined_at:%Y-%m-%dT%H:%MZ}"
            )
        return self

    @model_validator(mode="after")
    def _names_each_account_once(self) -> Self:
        logins = [person(login) for login in (self.github_username, *self.also)]
        if twins := sorted({login for login in logins if logins.count(login) > 1}):
            raise ValueError(f"{self.github_username} and its `also` name {twins[0]!r} twice")
        return self

    def row(self) -> dict[str, Any]:
        """Return the row of `raw.team_memberships`, without its team."""
        return {**self.model_dump(), "also": ",".join(self.also) or None}

    @property
    def end(self) -> datetime:
        """`left_at`, or the end of time."""
        return self.left_at or FOREVER


def _usable_id(value: str) -> str:
    if value and not _SLUG.fullmatch(value):
        raise ValueError(
            "should start with a lower-case letter or a digit,"
            " and hold only those, '.', '_' and '-'"
        )
    if value == RESERVED:
        raise ValueError(f"id {RESERVED!r} is reserved for changes without a team")
    return value


class Team(BaseModel):
    """A team; the default `id` is made from `name`."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, AfterValidator(_usable_id)] = ""
    name: str = Field(min_length=1)
    description: str | None = None
    members: list[Member]

    @model_validator(mode="after")
    def _has_a_usable_id(self) -> Self:
        self.id = self.id or slugify(self.name)
        if not self.id:
            raise ValueError("no id can be made from this name: give the team an id")
        _usable_id(self.id)
        return self

    def row(self) -> dict[str, Any]:
        """Return the row of `raw.teams` with its nested memberships."""
        return {
            "team_id": self.id,
            "name": self.name,
            "description": self.description,
            "memberships": [{"team_id": self.id, **member.row()} for member in self.members],
        }


_Teams = TypeAdapter(Annotated[list[Team], Field(min_length=1)])


def read_teams(configured: str) -> list[Team]:
    """Parse JSON or the file it refers to; raise `ConfigurationError` with every fault."""
    source, text = SOURCE, configured.strip()
    if text and not text.startswith(("[", "{")):
        source, text = configured, read_reference(configured, SOURCE)
    return parse_teams(text, source)


def parse_teams(text: str, source: str = SOURCE) -> list[Team]:
    """Parse and check a team configuration; `source` names it in the faults."""
    # Some editors write a byte order mark.
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise ConfigurationError(f"{source} is empty; it should be a JSON array of teams")
    document = _read_json(text, source)
    faults: list[str] = []
    try:
        teams = _Teams.validate_python(document)
    except ValidationError as error:
        faults = [_fault(fault, document) for fault in error.errors(include_url=False)]
        teams = _salvaged(document)
    if faults := [*faults, *_twin_ids(teams), *_shared_accounts(teams), *_overlaps(teams)]:
        raise ConfigurationError([f"{source}: {fault}" for fault in faults])
    return teams


def _read_json(text: str, source: str) -> Any:
    try:
        document = json.loads(text, object_pairs_hook=_refuse_twins)
        written = json.dumps(document, ensure_ascii=False)
        written.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{source} contains half a surrogate pair") from None
    except RecursionError:
        raise ConfigurationError(f"{source} is not valid JSON: it is nested too deeply") from None
    except ValueError as error:
        raise ConfigurationError(f"{source} is not valid JSON: {error}") from None
    if "\\u0000" in written:
        raise ConfigurationError(f"{source} contains a NUL, which Postgres cannot store")
    return document


def _salvaged(document: Any) -> list[Team]:
    """Return the valid parts of an invalid configuration, to find faults between them."""
    teams = []
    entries = document if isinstance(document, list) else []
    for number, entry in enumerate(entry for entry in entries if isinstance(entry, dict)):
        members = entry.get("members")
        good = members if isinstance(members, list) else []
        good = [member for member in good if _is_good(Member, member)]
        name = entry.get("name") or f"team {number}"
        salvaged = {"id": entry.get("id") or "", "name": name, "members": good}
        if _is_good(Team, salvaged):
            teams.append(Team.model_validate(salvaged))
    return teams


def _is_good(model: type[BaseModel], value: Any) -> bool:
    try:
        model.model_validate(value)
    except ValidationError:
        return False
    return True


def over_allocations(teams: Iterable[Team]) -> list[str]:
    """Return a warning for each person whose weights exceed 1, and from when; this is allowed."""
    members: dict[str, list[Member]] = defaultdict(list)
    for team in teams:
        for member in team.members:
            members[person(member.github_username)].append(member)
    warnings = []
    for windows in members.values():
        for start in sorted({window.joined_at for window in windows}):
            holding = [w for w in windows if w.joined_at <= start < w.end]
            total = sum(w.allocation_weight for w in holding)
            if total > 1:
                warnings.append(
                    f"the weights of {holding[0].github_username} add up to {total:.2f} "
                    f"from {start:%Y-%m-%d}"
                )
    return warnings


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if twins := sorted({key for key in keys if keys.count(key) > 1}):
        raise ValueError(f"an object has the key {twins[0]!r} twice")
    return dict(pairs)


# Plain messages for faults that pydantic finds.
_PLAIN = {
    "extra_forbidden": "no such field",
    "greater_than_equal": "should be from 0.00 to 1.00",
    "less_than_equal": "should be from 0.00 to 1.00",
    "list_type": "should be a JSON array",
    "model_type": "should be a JSON object",
    "missing": "is missing",
    "string_pattern_mismatch": "is not a GitHub login: use letters, digits and hyphens, no @",
    "string_too_short": "should not be empty",
    "string_type": "should be a text",
    "too_short": "should contain at least one team",
}


def _fault(fault: Any, document: Any) -> str:
    """Describe a fault; name the team and the member instead of their positions."""
    place, node = [], document
    for step in fault["loc"]:
        node = node[step] if _has(node, step) else None
        label = None
        if isinstance(node, dict) and isinstance(step, int):
            label = node.get("github_username") or node.get("id") or node.get("name")
        place.append(str(label or step))
    message = _PLAIN.get(fault["type"]) or fault["msg"].removeprefix("Value error, ")
    value = fault["input"]
    shown = f" (it is {value!r})" if isinstance(value, str | int | float | None) else ""
    return f"{' > '.join(place)}: {message}{shown}" if place else f"{message}{shown}"


def _has(node: Any, step: Any) -> bool:
    if isinstance(node, dict):
        return step in node
    return isinstance(node, list) and isinstance(step, int) and step < len(node)


def _twin_ids(teams: list[Team]) -> list[str]:
    ids = [team.id for team in teams]
    return [
        f"{ids.count(twin)} teams have the id {twin!r}; give each a separate id"
        for twin in sorted({team_id for team_id in ids if ids.count(team_id) > 1})
    ]


def _shared_accounts(teams: list[Team]) -> list[str]:
    """Return a fault for each account that would belong to two people."""
    owners: dict[str, dict[str, str]] = defaultdict(dict)
    for member in (member for team in teams for member in team.members):
        for login in (member.github_username, *member.also):
            owners[person(login)].setdefault(person(member.github_username), member.github_username)
    return [
        f"{login} is an account of {' and of '.join(sorted(owned.values()))}: list each person "
        f"under one login, and that login's other accounts in its `also`"
        for login, owned in sorted(owners.items())
        if len(owned) > 1
    ]


def _overlaps(teams: list[Team]) -> list[str]:
    faults = []
    for team in teams:
        latest: dict[str, Member] = {}
        for member in sorted(team.members, key=lambda m: m.joined_at):
            key = person(member.github_username)
            before = latest.get(key)
            if before is not None and member.joined_at < before.end:
                faults.append(
                    f"{team.id}: the windows of {member.github_username} from "
                    f"{before.joined_at:%Y-%m-%d} and from {member.joined_at:%Y-%m-%d} overlap"
                )
            if before is None or member.end > before.end:
                latest[key] = member
    return faults
