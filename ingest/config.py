"""A run's configuration: teams, repositories and access to GitHub, all checked at once."""

import hashlib
import json
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import httpx

from dora.errors import ConfigurationError
from dora.settings import Settings
from ingest.delivery.deployment_rules import DeploymentRule, read_deployments
from ingest.delivery.incident_rules import (
    Incident,
    IncidentRules,
    read_incident_rules,
    read_incidents,
)
from ingest.exclusion_rules import Rule, read_automation_logins, read_rules
from ingest.github.credentials import read_credentials
from ingest.github.models import Row
from ingest.github.network import find_proxy, trusted
from ingest.repositories import Selection, parse_repositories
from ingest.teams import SOURCE, Team, over_allocations, read_teams

T = TypeVar("T")
NO_TEAMS = (
    f"{SOURCE} is not set, so there are no teams yet (those of an earlier run stay): "
    "`dora teams draft` writes a first team file"
)


@dataclass(frozen=True)
class Config:
    """A run's configuration.

    `verify` holds the trusted TLS certificates, `proxy` the proxy to GitHub; `reserve` is how many
    points of GitHub's hourly quota are not used. `only` limits the run to some of the
    repositories; `refresh` reads their loaded data again, back to `since` if given; `queue_url` is
    the URL of the dead letter queue. `incidents_of_file` are the incidents of the file that
    `incidents` names, None without a file.
    """

    url: str
    auth: httpx.Auth
    selection: Selection
    teams: list[Team]
    warnings: list[str]
    since: datetime | None = None
    only: frozenset[str] = frozenset()
    refresh: bool = False
    queue_url: str | None = None
    verify: ssl.SSLContext | bool = True
    proxy: httpx.Proxy | None = None
    reserve: int = 0
    rules: Sequence[Rule] = ()
    automation_logins: Sequence[str] = ()
    deployments: Sequence[DeploymentRule] = ()
    incidents: IncidentRules | None = None
    incidents_of_file: Sequence[Incident] | None = None

    @property
    def teams_hash(self) -> str:
        """A hash of the team configuration and the settings of the marts."""
        parts = [team.model_dump_json() for team in self.teams]
        parts += [json.dumps(row, sort_keys=True) for row in self.settings_rows()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def settings_rows(self) -> list[Row]:
        """Return the rows of `raw.settings`."""
        rules = [rule.model_dump(exclude_none=True) for rule in self.rules]
        return [
            {"name": "pull_requests", "value": rules},
            {"name": "automation_logins", "value": list(self.automation_logins)},
            {"name": "deployments", "value": [rule.value() for rule in self.deployments]},
            {"name": "incidents", "value": self.incidents.value() if self.incidents else {}},
        ]


def read_config(
    settings: Settings,
    *,
    since: datetime | None = None,
    only: Sequence[str] = (),
    refresh: bool = False,
    faults: Sequence[str] = (),
) -> Config:
    """Check all settings of an ingest; raise `ConfigurationError` with every fault.

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
    rules = checked(lambda: read_rules(settings.pull_requests))
    automation = checked(lambda: read_automation_logins(settings.automation_logins))
    deployments = checked(lambda: read_deployments(settings.deployments))
    incidents = checked(lambda: read_incident_rules(settings.incidents))
    file = incidents.file if incidents else None
    of_file = checked(lambda: read_incidents(file)) if file else None
    url = settings.github_api_url
    verify = checked(lambda: trusted(url, settings.github_ca_bundle))
    proxy = checked(lambda: find_proxy(url, verify or True))
    if since is not None and since > datetime.now(UTC):
        faults.append(f"--since {since:%Y-%m-%d} is in the future")
    if narrowed and (narrowed.owners or narrowed.left_out):
        faults.append("--repository takes owner/name only, without * or !")
    if faults or teams is None or selection is None or auth is None or verify is None:
        raise ConfigurationError(faults)
    warnings = [f"team configuration: {warning}" for warning in over_allocations(teams)]
    if not teams:
        warnings.append(NO_TEAMS)
    return Config(
        url=url,
        auth=auth,
        selection=selection,
        teams=teams,
        warnings=warnings,
        since=since,
        only=frozenset(name.casefold() for name in narrowed.names) if narrowed else frozenset(),
        refresh=refresh,
        queue_url=settings.dlq_url,
        verify=verify,
        proxy=proxy,
        reserve=settings.github_reserve,
        rules=rules or (),
        automation_logins=automation or (),
        deployments=deployments or (),
        incidents=incidents,
        incidents_of_file=of_file,
    )


def _teams(settings: Settings) -> list[Team]:
    """Return the configured teams; if none are configured, an ingest keeps those in `raw`."""
    return read_teams(settings.team_config_json) if settings.team_config_json else []
