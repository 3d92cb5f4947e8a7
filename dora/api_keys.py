"""API keys: only their SHA-256 is stored, and it is compared in constant time."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from dora.aws_secrets import read_secret
from dora.errors import ConfigurationError
from dora.settings import Settings

ALL_TEAMS: Literal["*"] = "*"
KEY_BYTES = 32

_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{64}$", to_lower=True)]
_Team = Annotated[str, StringConstraints(pattern=r"^\S+$", max_length=200)]
_Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]

_REMEDIES = {
    "name": "should be one line of text that names the user of the key",
    "sha256": "should be the key's SHA-256 in 64 hexadecimal digits",
    "teams": 'should be a non-empty list of team ids, or "*" for all teams',
}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key: its user's name for the log, its digest, the teams it may read (None: all)."""

    name: str
    sha256: str
    teams: frozenset[str] | None

    def may_read(self, team_id: str) -> bool:
        return self.teams is None or team_id in self.teams


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    name: Annotated[_Name, Field(max_length=200)]
    sha256: _Sha256
    teams: Literal["*"] | Annotated[list[_Team], Field(min_length=1)]


_ENTRIES = TypeAdapter(list[_Entry])


def new_key(
    name: str, teams: Sequence[str] | Literal["*"] = ALL_TEAMS
) -> tuple[str, dict[str, Any]]:
    """Make a key of 256 random bits; return its plain text and the entry to add to `API_KEYS`.

    The plain text is not stored: show it once. Raises `ConfigurationError` if `API_KEYS` would
    not accept the name or the teams.
    """
    plain = secrets.token_urlsafe(KEY_BYTES)
    entry = {
        "name": name,
        "sha256": digest(plain),
        "teams": ALL_TEAMS if teams == ALL_TEAMS else list(teams),
    }
    try:
        _Entry.model_validate(entry)
    except ValidationError as error:
        raise ConfigurationError(
            [f"the key's {field} {_REMEDIES[field]}" for field in _fields_at_fault(error)]
        ) from None
    return plain, entry


def digest(key: str) -> str:
    """SHA-256 of a key in hexadecimal. A header's bytes arrive decoded as Latin-1."""
    return hashlib.sha256(key.encode("latin-1", "replace")).hexdigest()


def configured_keys(settings: Settings) -> str | None:
    """The text of `API_KEYS`, from Secrets Manager if `API_KEYS_SECRET_ARN` is set."""
    if settings.api_keys_secret_arn is not None:
        return read_secret(settings.api_keys_secret_arn, "API_KEYS_SECRET_ARN")
    return None if settings.api_keys is None else settings.api_keys.get_secret_value()


def find_key(keys: Iterable[ApiKey], presented: str) -> ApiKey | None:
    """Find the entry with the presented key's digest; compare every entry, in constant time."""
    presented_digest = digest(presented)
    found = None
    for key in keys:
        if hmac.compare_digest(key.sha256, presented_digest):
            found = key
    return found


def parse_keys(text: str) -> list[ApiKey]:
    """Read `API_KEYS`: a JSON array of `{"name", "sha256", "teams": ["…"] or "*"}`.

    Raises `ConfigurationError` with every fault. No message quotes the text: it may be a key that
    was pasted into the wrong place.
    """
    try:
        entries = _ENTRIES.validate_json(text)
    except ValidationError as error:
        raise ConfigurationError(list(dict.fromkeys(_faults(error)))) from None
    faults = list(_repeated(entries))
    if faults:
        raise ConfigurationError(faults)
    return [
        ApiKey(
            entry.name,
            entry.sha256,
            None if entry.teams == ALL_TEAMS else frozenset(entry.teams),
        )
        for entry in entries
    ]


def _faults(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        where, kind = fault["loc"], fault["type"]
        if not where:
            reason = fault["msg"] if kind == "json_invalid" else "it is another JSON value"
            yield f"API_KEYS is not a JSON array: {reason}; `dora keys new` makes its entries"
            continue
        entry = f"API_KEYS[{where[0]}]"
        if len(where) == 1:
            yield f"{entry} is not an object with name, sha256 and teams"
        elif kind == "extra_forbidden":
            yield f"{entry} has a field besides name, sha256 and teams"
        elif kind == "missing":
            yield f"{entry} lacks {where[1]}: it {_REMEDIES[str(where[1])]}"
        else:
            yield f"{entry}.{where[1]} {_REMEDIES[str(where[1])]}"


def _fields_at_fault(error: ValidationError) -> list[str]:
    return list(dict.fromkeys(str(fault["loc"][0]) for fault in error.errors()))


def _repeated(entries: Sequence[_Entry]) -> Iterator[str]:
    # A name may occur twice: while a key is being replaced, the old and the new one are valid.
    places: dict[str, list[str]] = {}
    for index, entry in enumerate(entries):
        places.setdefault(entry.sha256, []).append(f"API_KEYS[{index}]")
    for same in places.values():
        if len(same) > 1:
            yield f"{' and '.join(same)} have the same sha256: keep one entry per key"
