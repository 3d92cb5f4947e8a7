"""Reads the team configuration, checks it by the rules of docs/metrics.md, makes its rows."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
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
from ingest.team_faults import in_words
from ingest.team_file import read_document
from ingest.team_groups import RESERVED, GroupPath, group_faults, groups_of

SOURCE = "TEAM_CONFIG_JSON"
_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
ALWAYS = datetime.min.replace(tzinfo=UTC)
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
    if value in RESERVED:
        raise ValueError(f"id {value!r} is reserved for {RESERVED[value]}")
    return value


class Defaults(BaseModel):
    """Values for the members of a team that lack them."""

    model_config = ConfigDict(extra="forbid")

    joined_at: Instant | None = None
    allocation_weight: Weight | None = None


class GroupWindow(BaseModel):
    """A window of a team in a group, `[joined_at, left_at)`; a null end means no limit."""

    model_config = ConfigDict(extra="forbid")

    path: GroupPath
    joined_at: Instant | None = None
    left_at: Instant | None = None

    @model_validator(mode="after")
    def _leaves_after_joining(self) -> Self:
        if self.end <= self.start:
            raise ValueError("left_at is not after joined_at")
        return self

    def rows(self, team_id: str) -> list[dict[str, Any]]:
        """Return the rows of `raw.team_groups`: one for each group of the path."""
        return [
            {
                "team_id": team_id,
                "group_id": group_id,
                "name": name,
                "parent_group_id": parent,
                "joined_at": self.joined_at,
                "left_at": self.left_at,
            }
            for group_id, name, parent in groups_of(self.path)
        ]

    @property
    def dates(self) -> tuple[datetime | None, datetime | None]:
        """`joined_at` and `left_at`."""
        return self.joined_at, self.left_at

    @property
    def start(self) -> datetime:
        """`joined_at`, or the beginning of time."""
        return self.joined_at or ALWAYS

    @property
    def end(self) -> datetime:
        """`left_at`, or the end of time."""
        return self.left_at or FOREVER


class Team(BaseModel):
    """A team; the default `id` is made from `name`. Its members already have its defaults.

    `group` is a group without dates.
    """

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, AfterValidator(_usable_id)] = ""
    name: str = Field(min_length=1)
    description: str | None = None
    defaults: Defaults | None = Field(default=None, exclude=True)
    group: GroupPath | None = None
    groups: list[GroupWindow] = Field(default_factory=list)
    members: list[Member]

    @model_validator(mode="after")
    def _has_one_form_of_groups(self) -> Self:
        if self.group is not None and self.groups:
            raise ValueError("has both `group` and `groups`; use `groups` for groups with dates")
        return self

    @model_validator(mode="after")
    def _has_a_usable_id(self) -> Self:
        self.id = self.id or slugify(self.name)
        if not self.id:
            raise ValueError("no id can be made from this name: give the team an id")
        _usable_id(self.id)
        return self

    @property
    def usual_weight(self) -> Decimal:
        """The weight of members that give none."""
        given = self.defaults.allocation_weight if self.defaults else None
        return Decimal("1.00") if given is None else given

    @property
    def group_windows(self) -> list[GroupWindow]:
        """The windows in groups."""
        return self.groups if self.group is None else [GroupWindow(path=self.group)]

    def row(self) -> dict[str, Any]:
        """Return the row of `raw.teams` with its nested memberships and groups."""
        return {
            "team_id": self.id,
            "name": self.name,
            "description": self.description,
            "memberships": [{"team_id": self.id, **member.row()} for member in self.members],
            "groups": [row for window in self.group_windows for row in window.rows(self.id)],
        }


_Teams = TypeAdapter(Annotated[list[Team], Field(min_length=1)])


def read_teams(configured: str) -> list[Team]:
    """Parse JSON, or the file it refers to, JSON or YAML.

    Raises `ConfigurationError` with every fault.
    """
    source, text = SOURCE, configured.strip()
    if text and not text.startswith(("[", "{")):
        source, text = configured, read_reference(configured, SOURCE)
    return parse_teams(text, source)


def parse_teams(text: str, source: str = SOURCE) -> list[Team]:
    """Parse and check a team configuration; `source` names it in the faults."""
    # Some editors write a byte order mark.
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise ConfigurationError(f"{source} is empty; it should be a list of teams")
    document = read_document(text, source)
    if not isinstance(document, list):
        raise ConfigurationError(f"{source} should be a list of teams, in JSON or YAML")
    document = [_with_defaults(entry) for entry in document]
    faults: list[str] = []
    try:
        teams = _Teams.validate_python(document)
    except ValidationError as error:
        found = error.errors(include_url=False)
        told = [each for each in found if not _is_of_default(each, document)] or found
        faults = [in_words(each, document) for each in told]
        teams = _salvaged(document)
    between = [_twin_ids, _shared_accounts, _overlaps, group_faults]
    if faults := [*faults, *(fault for check in between for fault in check(teams))]:
        raise ConfigurationError([f"{source}: {fault}" for fault in faults])
    return teams


def _with_defaults(team: Any) -> Any:
    """Return a team whose members are objects and have the team's defaults."""
    members = team.get("members") if isinstance(team, dict) else None
    if not isinstance(members, list):
        return team
    given = _defaults_of(team)
    entries = [{"github_username": one} if isinstance(one, str) else one for one in members]
    return {**team, "members": [{**given, **e} if isinstance(e, dict) else e for e in entries]}


def _defaults_of(team: dict[str, Any]) -> dict[str, Any]:
    defaults = team.get("defaults")
    given = defaults if isinstance(defaults, dict) else {}
    names = Defaults.model_fields.keys() & given.keys()
    return {name: given[name] for name in names if given[name] is not None}


def _is_of_default(fault: Any, document: list[Any]) -> bool:
    """Whether the fault of a member is that of a default, which is reported once."""
    match fault["loc"]:
        case (int(team), "members", int(), str(name)):
            defaults = _defaults_of(document[team])
            return name in defaults and defaults[name] is fault["input"]
    return False


def _salvaged(document: list[Any]) -> list[Team]:
    """Return the valid parts of an invalid configuration, to find faults between them."""
    teams = []
    for number, entry in enumerate(entry for entry in document if isinstance(entry, dict)):
        salvaged = {
            "id": entry.get("id") or "",
            "name": entry.get("name") or f"team {number}",
            "members": _good_of(Member, entry.get("members")),
            "groups": _good_of(GroupWindow, entry.get("groups") or [{"path": entry.get("group")}]),
        }
        if _is_good(Team, salvaged):
            teams.append(Team.model_validate(salvaged))
    return teams


def _good_of(model: type[BaseModel], values: Any) -> list[Any]:
    return [v for v in values if _is_good(model, v)] if isinstance(values, list) else []


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


def _twin_ids(teams: list[Team]) -> list[str]:
    ids = [team.id for team in teams]
    return [
        f"{ids.count(twin)} teams have the id {twin!r}; give each a separate id"
        for twin in sorted({team_id for team_id in ids if ids.count(team_id) > 1})
    ]


def _shared_accounts(teams: list[Team]) -> list[str]:
    return [
        f"{login} is an account of {' and of '.join(owners)}: list each person "
        f"under one login, and that login's other accounts in its `also`"
        for login, owners in shared_accounts(teams)
    ]


def shared_accounts(teams: Iterable[Team]) -> list[tuple[str, list[str]]]:
    """Return each login that would belong to several people, with these."""
    owners: dict[str, dict[str, str]] = defaultdict(dict)
    for member in (member for team in teams for member in team.members):
        for login in (member.github_username, *member.also):
            owners[person(login)].setdefault(person(member.github_username), member.github_username)
    return [
        (login, sorted(owned.values())) for login, owned in sorted(owners.items()) if len(owned) > 1
    ]


def _overlaps(teams: list[Team]) -> list[str]:
    return [
        f"{team.id}: the windows of {member.github_username} from "
        f"{before.joined_at:%Y-%m-%d} and from {member.joined_at:%Y-%m-%d} overlap"
        for team in teams
        for before, member in overlaps(team.members)
    ]


def overlaps(members: Iterable[Member]) -> Iterator[tuple[Member, Member]]:
    """Yield pairs of windows of one person that overlap, the earlier one first."""
    latest: dict[str, Member] = {}
    for member in sorted(members, key=lambda m: m.joined_at):
        key = person(member.github_username)
        before = latest.get(key)
        if before is not None and member.joined_at < before.end:
            yield before, member
        if before is None or member.end > before.end:
            latest[key] = member
