"""Finds the configured repositories, and makes their rows of `raw.repositories`."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from dora.errors import ConfigurationError
from ingest.config import Config
from ingest.delivery.checkpoint import DeliveryCheckpoint, Round
from ingest.github.checkpoint import Checkpoint, Difference, Reread
from ingest.github.client import GitHub
from ingest.github.discovery import Found, owned, probe, resolve
from ingest.github.models import Probed, Row
from ingest.github.newest_deliveries import Listed
from ingest.github.responses import refused_token


@dataclass(frozen=True)
class Repository:
    """A row of `raw.repositories`."""

    id: str
    repository: str
    is_archived: bool | None = None
    default_branch: str | None = None
    is_configured: bool = True
    pull_requests: int | None = None
    covered_from: datetime | None = None
    covered_to: datetime | None = None
    unreachable_since: datetime | None = None
    unreachable_reason: str | None = None


@dataclass
class Known:
    """The state in the database when the run begins, as the run updates it.

    `names` maps a configured name to a repository id, `unresolved` to the instant since when there
    is no such repository. `differences` are the differences between our number of rows and
    GitHub's that have been examined. `landed` holds the rows of `raw.repositories`. `deliveries`
    says which deployments, releases, runs and so on are loaded per repository, `rounds` when single
    ones were last read again, `incident_sources` are the sources of the incidents file.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    progress: dict[str, Checkpoint] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    unresolved: dict[str, str] = field(default_factory=dict)
    teams_hash: str | None = None
    reread: Reread = field(default_factory=Reread)
    differences: dict[str, Difference] = field(default_factory=dict)
    landed: dict[str, Repository] = field(default_factory=dict)
    deliveries: dict[str, DeliveryCheckpoint] = field(default_factory=dict)
    rounds: dict[str, Round] = field(default_factory=dict)
    incident_sources: list[str] = field(default_factory=list)

    @classmethod
    def from_state(cls, state: dict[str, Any], rows: Iterable[Row]) -> "Known":
        """Read dlt's state and the rows of `raw.repositories`."""
        repositories = {row["id"]: Repository(**row) for row in rows}
        return cls(
            repositories=repositories,
            landed=dict(repositories),
            progress={
                key: Checkpoint.model_validate(value)
                for key, value in state.get("repositories", {}).items()
            },
            names=dict(state.get("names", {})),
            unresolved=dict(state.get("unresolved", {})),
            teams_hash=state.get("teams_hash"),
            reread=Reread.model_validate(state.get("reread", {})),
            differences={
                key: Difference.model_validate(value)
                for key, value in state.get("differences", {}).items()
                # Before November 2026 it was a plain number.
                if isinstance(value, dict)
            },
            deliveries={
                key: DeliveryCheckpoint.model_validate(value)
                for key, value in state.get("deliveries", {}).items()
            },
            rounds={
                name: Round.model_validate(value) for name, value in state.get("rounds", {}).items()
            },
            incident_sources=list(state.get("incident_sources", ())),
        )

    def state(self) -> dict[str, Any]:
        """Return the content of dlt's state."""
        return {
            "repositories": {
                key: progress.model_dump(mode="json", exclude_none=True)
                for key, progress in self.progress.items()
            },
            "names": self.names,
            "unresolved": self.unresolved,
            "teams_hash": self.teams_hash,
            "reread": self.reread.model_dump(mode="json"),
            "differences": {
                key: difference.model_dump(mode="json")
                for key, difference in self.differences.items()
            },
            "deliveries": {
                key: delivered.model_dump(mode="json", exclude_defaults=True)
                for key, delivered in self.deliveries.items()
            },
            "rounds": {name: each.model_dump(mode="json") for name, each in self.rounds.items()},
            "incident_sources": self.incident_sources,
        }

    def as_of(self) -> datetime | None:
        """Return the instant up to which every reachable repository is loaded (docs/metrics.md)."""
        return min(
            (
                row.covered_to
                for row in self.repositories.values()
                if row.covered_to and row.is_configured and row.unreachable_since is None
            ),
            default=None,
        )

    def changed_rows(self) -> list[Row]:
        """Return the rows of `raw.repositories` that differ from the loaded ones."""
        return [
            vars(row).copy()
            for key, row in self.repositories.items()
            if self.landed.get(key) != row
        ]

    def saw(self, probed: Probed) -> None:
        """Update a repository with the result of a probe."""
        row = self.repositories.get(probed.id) or Repository(probed.id, probed.repository)
        progress = self.progress.setdefault(probed.id, Checkpoint())
        is_quiet = progress.is_whole_up_to(probed.newest) and not probed.is_unclear
        self.repositories[probed.id] = replace(
            row,
            repository=probed.repository,
            is_archived=probed.is_archived,
            default_branch=probed.default_branch,
            is_configured=True,
            pull_requests=probed.pull_requests,
            covered_from=progress.covered_from,
            covered_to=_latest(row.covered_to, progress.walked_at, probed.at if is_quiet else None),
            unreachable_since=None,
            unreachable_reason=None,
        )

    def advanced(self, repository_id: str, progress: Checkpoint) -> None:
        """Update a repository with the progress of a page."""
        row = self.repositories[repository_id]
        covered_to = _latest(row.covered_to, progress.walked_at)
        self.progress[repository_id] = progress
        self.repositories[repository_id] = replace(
            row, covered_from=progress.covered_from, covered_to=covered_to
        )

    def lost(self, repository_id: str, reason: str, at: datetime) -> bool:
        """Mark a repository as unreachable; return whether it was reachable before."""
        row = self.repositories.get(repository_id)
        if row is None or row.unreachable_since is not None:
            return False
        self.repositories[repository_id] = replace(
            row, unreachable_since=at, unreachable_reason=reason
        )
        return True


def _latest(*instants: datetime | None) -> datetime | None:
    return max(filter(None, instants), default=None)


async def discover(
    github: GitHub, config: Config, known: Known, listed: Listed | None = None
) -> Found:
    """Ask GitHub for every configured repository, or for those that `--repository` names.

    One request for 100 repositories, and one more for every 100 names that are new or whose
    repository was renamed: there may be a new repository under the old name. The requests also
    ask for the lists in `listed`.
    """
    found = Found(
        known_names={key: row.repository for key, row in known.repositories.items()},
        listed=listed or Listed(),
    )
    configured: set[str] = set()
    for owner in config.selection.owners:
        configured |= await _discover_owned(github, owner, config, known, found)
    names = [name for name in config.selection.names if _is_wanted(name, config)]
    ids = [known.names[name.casefold()] for name in names if name.casefold() in known.names]
    await probe(github, [i for i in dict.fromkeys(ids) if i not in found.repositories], found)
    await resolve(
        github, [name for name in names if _is_to_resolve(name, known, found)], found, known.names
    )
    known.names.update(found.named)
    for name in found.named:
        known.unresolved.pop(name, None)
    configured.update(known.names[n.casefold()] for n in names if n.casefold() in known.names)
    found.repositories = {
        key: probed
        for key, probed in found.repositories.items()
        if key in configured and _is_wanted(probed.repository, config, *_names_of(key, known))
    }
    if not found.repositories and not found.unclear and len(found.refusals) >= len(found.away) > 0:
        name, refusal = next(iter(found.refusals.items()))
        raise refused_token(f"any of the repositories, such as {name}", refusal)
    if config.only and not found.repositories and not found.away:
        raise ConfigurationError(
            f"--repository {', '.join(sorted(config.only))} is not in REPOSITORIES"
        )
    if not config.only and not any(key.endswith("/*") for key in found.unclear):
        _forget_unconfigured(known, configured)
    return found


async def _discover_owned(
    github: GitHub, owner: str, config: Config, known: Known, found: Found
) -> set[str]:
    """Ask for all repositories of an owner; return the ids that `owner/*` selects.

    A known repository that is missing in the list is asked for by its id: it may be blocked,
    deleted or transferred. If the owner no longer exists, its known repositories are kept.
    """
    name = f"{owner}/*"
    shown = await owned(github, owner, known.names.get(name.casefold()), found)
    if name in found.unclear:
        return set()
    if shown.id:
        known.names[name.casefold()] = shown.id
    if shown.login.casefold() != owner.casefold():
        found.notes.append(f"{owner} was renamed to {shown.login}: change it in REPOSITORIES")
    owners = {owner.casefold(), shown.login.casefold()}
    missing = [
        row.id
        for row in known.repositories.values()
        if row.is_configured and row.id not in shown.ids and _owner_of(row.repository) in owners
    ]
    await probe(github, missing, found)
    kept = {
        key
        for key in missing
        if name in found.away
        or key not in found.repositories
        or _owner_of(found.repositories[key].repository) in owners
    }
    hidden = len(shown.hidden) - len(kept)
    if hidden > 0:
        found.away[f"{name} ({hidden} more that the token cannot read)"] = shown.hidden[-1]
    return {key for key in {*shown.ids, *kept} if _is_selected(key, owner, config, known, found)}


def _is_selected(key: str, owner: str, config: Config, known: Known, found: Found) -> bool:
    """Whether no `!owner/name` leaves it out, under its current or its configured owner."""
    shown = found.repositories.get(key) or known.repositories[key]
    own_name = shown.repository.partition("/")[2]
    return all(config.selection.has(name) for name in (shown.repository, f"{owner}/{own_name}"))


def _owner_of(repository: str) -> str:
    return repository.partition("/")[0].casefold()


def _is_to_resolve(name: str, known: Known, found: Found) -> bool:
    """Whether a configured name is new, or may now belong to another repository."""
    key = known.names.get(name.casefold())
    if key is None or key in found.away:
        return True
    shown = found.repositories.get(key)
    return shown is not None and shown.repository.casefold() != name.casefold()


def _is_wanted(name: str, config: Config, *other_names: str) -> bool:
    wanted = config.only
    return not wanted or bool(wanted & {name.casefold(), *other_names})


def _names_of(repository_id: str, known: Known) -> list[str]:
    return [name for name, key in known.names.items() if key == repository_id]


def _forget_unconfigured(known: Known, configured: set[str]) -> None:
    for key, row in known.repositories.items():
        if key not in configured and row.is_configured:
            known.repositories[key] = replace(row, is_configured=False)
