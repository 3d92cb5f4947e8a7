"""`INCIDENTS`: which GitHub issues are incidents, and a file of other incidents."""

import csv
import io
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from dora.errors import ConfigurationError
from dora.remote_config import read_reference
from ingest.delivery.json_settings import faults_of, parse_json, read_document
from ingest.github.models import Row
from ingest.teams import Instant

SETTING = "INCIDENTS"
# The `source` of incidents from GitHub's issues, and the default for those of a file.
GITHUB, FILE = "github", "file"
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9_-]+/[A-Za-z0-9._-]+$"),
]
Sha = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, pattern=r"^[0-9a-fA-F]{40}$")
]
_PULL_REQUEST = r"[A-Za-z0-9_-]+/[A-Za-z0-9._-]+#[0-9]+"
PullRequest = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=rf"^{_PULL_REQUEST}$")
]
Fix = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=rf"^({_PULL_REQUEST}|[0-9a-fA-F]{{40}})$"),
]


class IncidentRules(BaseModel):
    """Issues with one of `labels`, in `repositories` or in all configured ones, and a file."""

    model_config = ConfigDict(extra="forbid")

    labels: list[Text] = Field(default_factory=list)
    repositories: list[Name] = Field(default_factory=list)
    file: Text | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.repositories and not self.labels:
            raise ValueError("repositories needs labels: the labels of issues that are incidents")
        if not self.labels and self.file is None:
            raise ValueError("needs labels, file or both")
        return self

    def value(self) -> dict[str, Any]:
        """Return the rules as they are stored in `raw.settings`."""
        return self.model_dump(exclude_defaults=True)


def read_incident_rules(configured: str | None) -> IncidentRules | None:
    """Parse JSON or the file it refers to; raise `ConfigurationError` with every fault."""
    source, document = read_document(configured, SETTING)
    if document is None:
        return None
    try:
        return IncidentRules.model_validate(document)
    except ValidationError as error:
        faults = faults_of(error, "", "no such field; it has labels, repositories and file")
        raise ConfigurationError([f"{source}: {fault}" for fault in faults]) from None


def _none_if_empty(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


_Empty = BeforeValidator(_none_if_empty)


class Incident(BaseModel):
    """A row of `raw.incidents` in a file; empty texts become null."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    source: Text = FILE
    id: Text
    title: Annotated[str | None, _Empty] = None
    url: Annotated[str | None, _Empty] = None
    severity: Annotated[str | None, _Empty] = None
    started_at: Instant
    resolved_at: Annotated[Instant | None, _Empty] = None
    repository: Annotated[Name | None, _Empty] = None
    target: Annotated[Text | None, _Empty] = None
    deployment_id: Annotated[Text | None, _Empty] = None
    commit_sha: Annotated[Sha | None, _Empty] = None
    pull_request: Annotated[PullRequest | None, _Empty] = None
    caused_by_change: Annotated[bool | None, _Empty] = None
    fixed_by: Annotated[Fix | None, _Empty] = None

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.source == GITHUB:
            raise ValueError(f"the source {GITHUB!r} is reserved for GitHub's issues")
        started: datetime = self.started_at
        if self.resolved_at is not None and self.resolved_at < started:
            raise ValueError(
                f"resolved_at {self.resolved_at.isoformat()} is before started_at "
                f"{started.isoformat()}"
            )
        return self

    @property
    def is_unlinked(self) -> bool:
        """Whether no field links it to a deployment."""
        return not any(
            (
                self.repository,
                self.target,
                self.deployment_id,
                self.commit_sha,
                self.pull_request,
            )
        )

    def row(self) -> Row:
        """Return the row of `raw.incidents`."""
        return self.model_dump()


COLUMNS = list(Incident.model_fields)
_Incidents = TypeAdapter(list[Incident])
_FORMS = {
    "commit_sha": "should be a commit's 40 hexadecimal digits",
    "pull_request": "should be owner/name#12",
    "fixed_by": "should be owner/name#12 or a commit's 40 hexadecimal digits",
}


def read_incidents(reference: str) -> list[Incident]:
    """Read a file of incidents, CSV or JSON; raise `ConfigurationError` with every fault."""
    text = read_reference(reference, "the incidents")
    return parse_incidents(text, reference)


def parse_incidents(text: str, source: str) -> list[Incident]:
    """Parse incidents: a JSON array of objects, or CSV with a header."""
    text = text.removeprefix("\ufeff")
    if text.lstrip().startswith(("[", "{")):
        entries, entry, shift = parse_json(text, source), "incident", 1
    else:
        entries, entry, shift = _read_csv(text, source), "line", 2
    faults: list[str] = []
    good: list[Incident] = []
    try:
        good = _Incidents.validate_python(entries)
    except ValidationError as error:
        columns = f"no such column; an incident has {', '.join(COLUMNS)}"
        faults = [_in_words(fault, shift) for fault in faults_of(error, entry, columns)]
    seen: dict[tuple[str, str], int] = {}
    for number, incident in enumerate(good, shift):
        first = seen.setdefault((incident.source, incident.id), number)
        if first != number:
            faults.append(f"{entry} {number} > id: {incident.id!r} is already on {entry} {first}")
    if faults:
        raise ConfigurationError([f"{source}: {fault}" for fault in faults])
    return good


def _in_words(fault: str, shift: int) -> str:
    """Return the fault with the line number of an editor and the form of the column."""
    for name, form in _FORMS.items():
        fault = fault.replace(
            f"> {name}: should be owner/name; * stands for any text", f"> {name}: {form}"
        )
    fault = fault.replace("owner/name; * stands for any text", "owner/name")
    number = re.match(r"line (\d+)", fault)
    if number and shift > 1:
        fault = f"line {int(number[1]) + shift - 1}{fault[number.end() :]}"
    return fault


def _read_csv(text: str, source: str) -> list[dict[str, Any]]:
    if "\0" in text:
        raise ConfigurationError(f"{source} contains a NUL, which Postgres cannot store")
    first = text.partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="")
    names = [name.strip() for name in reader.fieldnames or ()]
    if not names or "id" not in names:
        raise ConfigurationError(
            f"{source} is neither a JSON array nor CSV with a header that has id and started_at"
        )
    reader.fieldnames = names
    try:
        rows = list(reader)
    except csv.Error as error:
        raise ConfigurationError(f"{source} is not valid CSV: {error}") from None
    faults = [
        f"{source}: line {number} has more values than the header has names"
        for number, row in enumerate(rows, 2)
        if "" in row
    ]
    if faults:
        raise ConfigurationError(faults)
    return [{name: value for name, value in row.items() if value} for row in rows]


def sources_in(incidents: Sequence[Incident]) -> set[str]:
    """Return the sources of a file's incidents."""
    return {incident.source for incident in incidents}
