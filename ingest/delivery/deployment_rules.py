"""`DEPLOYMENTS`: rules that define deployments, for patterns of repositories."""

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from dora.errors import ConfigurationError
from ingest.delivery.json_settings import faults_of, read_document
from ingest.delivery.patterns import Pattern

SETTING = "DEPLOYMENTS"
# The environments that count as production if a rule names none; case-insensitive.
PRODUCTION = "^(prod|production|live)($|[^a-z])"
Source = Literal["deployments", "releases", "tags", "workflow", "merges"]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Repositories = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^(\*|[A-Za-z0-9_.*?-]+/[A-Za-z0-9_.*?-]+)$"),
]
# The sources for which each of these fields is allowed.
_FIELDS: dict[str, set[str]] = {
    "environment": {"deployments"},
    "tag": {"releases", "tags"},
    "prereleases": {"releases"},
    "workflow": {"workflow"},
    "branch": {"workflow"},
}
_NAMES = (
    "repositories, target, source, environment, tag, prereleases, workflow, branch, labels "
    "and paths"
)


def _path_pattern(pattern: str) -> str:
    """Return the pattern; refuse forms that other tools know and that would match nothing here."""
    if pattern.startswith(("/", "./")):
        raise ValueError("should begin at the root of the repository, without / or ./ in front")
    if pattern.startswith("!"):
        raise ValueError("uses !, which is not supported; list the paths that belong to the target")
    if pattern.endswith("/"):
        raise ValueError(f"matches no file; for everything in the folder write {pattern}**")
    return pattern


PathPattern = Annotated[Text, AfterValidator(_path_pattern)]


class DeploymentRule(BaseModel):
    """Defines the deployments of a target, for the repositories that match a pattern.

    In patterns of repositories and paths `*` is any text, also with slashes, and `?` one character;
    `environment` and `tag` are regular expressions. All except `tag` are case-insensitive.
    """

    model_config = ConfigDict(extra="forbid")

    repositories: Annotated[list[Repositories], Field(min_length=1)]
    target: Text | None = None
    source: Source = "deployments"
    environment: Pattern | None = None
    tag: Pattern | None = None
    prereleases: bool = False
    workflow: Text | None = None
    branch: Text | None = None
    labels: list[Text] = Field(default_factory=list)
    paths: list[PathPattern] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("repositories"), str):
            value = {**value, "repositories": [value["repositories"]]}
        return value

    @model_validator(mode="after")
    def _fields_fit_the_source(self) -> Self:
        for name, sources in _FIELDS.items():
            if name in self.model_fields_set and self.source not in sources:
                fit = " or ".join(sorted(sources))
                raise ValueError(f"{name} is for the source {fit}, not for {self.source}")
        if self.source == "workflow" and self.workflow is None:
            raise ValueError("the source workflow needs `workflow`: its name or its file's name")
        return self

    def covers(self, repository: str) -> bool:
        """Whether one of its patterns matches `owner/name`."""
        return any(_glob(pattern).fullmatch(repository) for pattern in self.repositories)

    def has_environment(self, *environments: str | None) -> bool:
        """Whether the rule applies to one of a deployment's environments."""
        pattern = re.compile(self.environment or PRODUCTION, re.IGNORECASE)
        return any(name is not None and pattern.search(name) for name in environments)

    def has_tag(self, tag: str) -> bool:
        """Whether the rule applies to a tag, or to a release's tag."""
        return self.tag is None or re.search(self.tag, tag) is not None

    def value(self) -> dict[str, Any]:
        """Return the rule as it is stored in `raw.settings`."""
        return self.model_dump(exclude_defaults=True)


_Rules = TypeAdapter(Annotated[list[DeploymentRule], Field(min_length=1)])
_DEFAULT = DeploymentRule(repositories=["*"])


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern.replace("[", "[[]")), re.IGNORECASE)


def read_deployments(configured: str | None) -> list[DeploymentRule]:
    """Parse JSON or the file it refers to; raise `ConfigurationError` with every fault."""
    source, document = read_document(configured, SETTING)
    if document is None:
        return []
    try:
        return _Rules.validate_python(document)
    except ValidationError as error:
        faults = faults_of(error, "rule", f"no such field; a rule has {_NAMES}")
        raise ConfigurationError([f"{source}: {fault}" for fault in faults]) from None


def rules_for(rules: Sequence[DeploymentRule], repository: str) -> list[DeploymentRule]:
    """Return the rules that apply to `owner/name`: the last one of each target.

    Without any rules this is the default: GitHub's deployments to production.
    """
    held = {rule.target: rule for rule in rules or [_DEFAULT] if rule.covers(repository)}
    return list(held.values())


def sources_of(rules: Iterable[DeploymentRule]) -> set[Source]:
    """Return the sources that these rules name."""
    return {rule.source for rule in rules}
