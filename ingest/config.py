"""What a run is told: teams, repositories and the way into GitHub, checked all at once."""

import hashlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import httpx

from dora.errors import ConfigurationError
from dora.settings import Settings
from ingest.github.credentials import read_credentials
from ingest.repositories import Selection, parse_repositories
from ingest.teams import SOURCE, Team, over_allocations, read_teams

T = TypeVar("T")


@dataclass(frozen=True)
class Config:
    """A run's configuration.

    `verify` is what TLS certificates are held against, `reserve` how many points of GitHub's hourly
    quota are left alone; `only` narrows it to some of the repositories; `queue_url` is the dead
    letter queue's.
    """

    url: str
    auth: httpx.Auth
    selection: Selection
    teams: list[Team]
    warnings: list[str]
    since: datetime | None = None
    only: frozenset[str] = frozenset()
    queue_url: str | None = None
    verify: ssl.SSLContext | bool = True
    reserve: int = 0

    @property
    def teams_hash(self) -> str:
        """What changes when the team configuration does."""
        text = "\n".join(team.model_dump_json() for team in self.teams)
        return hashlib.sha256(text.encode()).hexdigest()


def read_config(
    settings: Settings,
    *,
    since: datetime | None = None,
    only: Sequence[str] = (),
    faults: Sequence[str] = (),
) -> Config:
    """Check what an ingest is told; raise `ConfigurationError` with every fault of it all.

    `faults` are those already found.
    """
    faults = list(faults)

    def checked(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except ConfigurationError as error:
            faults.extend(error.faults)
            return None

    teams = checked(lambda: _teams(settings))
    selection = checked(lambda: parse_repositories(settings.repositories))
    narrowed = checked(lambda: parse_repositories(",".join(only), "--repository")) if only else None
    auth = checked(lambda: read_credentials(settings))
    verify = checked(lambda: _trusted(settings.github_ca_bundle))
    if since is not None and since > datetime.now(UTC):
        faults.append(f"--since {since:%Y-%m-%d} is in the future")
    if narrowed and (narrowed.owners or narrowed.left_out):
        faults.append("--repository takes owner/name")
    if faults or teams is None or selection is None or auth is None or verify is None:
        raise ConfigurationError(faults)
    return Config(
        url=settings.github_api_url,
        auth=auth,
        selection=selection,
        teams=teams,
        warnings=over_allocations(teams),
        since=since,
        only=frozenset(name.casefold() for name in narrowed.names) if narrowed else frozenset(),
        queue_url=settings.dlq_url,
        verify=verify,
        reserve=settings.github_reserve,
    )


def _trusted(ca_bundle: Path | None) -> ssl.SSLContext | bool:
    """Return what TLS is verified against: a bundle of ours, else the public authorities."""
    if ca_bundle is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_bundle.expanduser())
    except OSError as error:
        is_no_pem = isinstance(error, ssl.SSLError)
        reason = "it holds no certificate in PEM" if is_no_pem else error.strerror
        raise ConfigurationError(
            f"GITHUB_CA_BUNDLE '{ca_bundle}' cannot be read: {reason}"
        ) from None


def _teams(settings: Settings) -> list[Team]:
    if settings.team_config_json is None:
        raise ConfigurationError(
            f"{SOURCE} is not set; give it the JSON of your teams, or its file"
        )
    return read_teams(settings.team_config_json)
