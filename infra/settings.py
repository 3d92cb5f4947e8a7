"""What differs between dev, staging and prod; all else is the same."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from dora.schemas import Schemas

HOURS = 4
# A run that began so long ago waits for GitHub no more and shows what has landed: the last ingest
# and the transform after it, of at most a quarter of an hour each, end before the next schedule.
LONGEST_WAIT = timedelta(hours=3)
# A step that fails is tried again so often, after a pause that doubles.
RETRIES = 4
FIRST_PAUSE = timedelta(seconds=30)
# So long it waits for a function that another run has.
BUSY_MINUTES = 30
# The repository whose workflows may deploy.
SOURCE = "acme/dora-metrics"


@dataclass(frozen=True)
class ExistingDatabase:
    """A database that is there already, reached without a VPC.

    The secret holds `username` and `password` of a login that may create roles.
    """

    secret_arn: str
    host: str
    database: str = "dora"
    port: int = 5432


@dataclass(frozen=True)
class Stage:
    """One deployment.

    `repositories`, `team_config`, `pull_requests`, `deployments` and `incidents` are
    `REPOSITORIES`, `TEAM_CONFIG_JSON`, `PULL_REQUESTS`, `DEPLOYMENTS` and `INCIDENTS` of the
    README: themselves, or where they are (`ssm:NAME`, `s3://BUCKET/KEY`);
    `automation_logins`, `reporting_timezone` and `attribution_instant` are the settings of those
    names; empty is unset. `instance` is an RDS instance type without its `db.`, of the Graviton
    kind; `is_kept` gives the database deletion protection and a last snapshot; `alarm_email` unset
    leaves it to the topic's other subscribers. `schema_prefix` is `DORA_SCHEMA_PREFIX`, for a
    database that is there already: schemas, roles and logins begin with it. Raise `ValueError`
    for one that cannot begin a name.
    """

    name: str
    repositories: str
    team_config: str
    pull_requests: str = ""
    deployments: str = ""
    incidents: str = ""
    automation_logins: str = ""
    reporting_timezone: str = ""
    attribution_instant: str = ""
    log_days: int = 30
    use_existing_database: ExistingDatabase | None = None
    schema_prefix: str = ""
    instance: str = "t4g.micro"
    storage_gib: int = 20
    max_storage_gib: int = 100
    backup_days: int = 7
    multi_az: bool = False
    is_kept: bool = False
    ingest_mib: int = 1024
    transform_mib: int = 1024
    api_mib: int = 512
    # Each holds a connection to the database.
    api_concurrency: int = 5
    api_requests_per_second: int = 10
    api_burst: int = 20
    alarm_email: str | None = None

    def __post_init__(self) -> None:
        Schemas(self.schema_prefix)


def expect_no_shared_roles(stages: Iterable[Stage]) -> None:
    """Raise `ValueError` for stages on one server with one prefix, all of them at once.

    Roles and logins belong to a server, not to a database: one stage would set the passwords of
    the other's logins, and its reader could read the other's marts.
    """
    sharing: dict[tuple[str, int, str], list[str]] = {}
    for stage in stages:
        if (there := stage.use_existing_database) is not None:
            server = (there.host.lower().rstrip("."), there.port, stage.schema_prefix)
            sharing.setdefault(server, []).append(stage.name)
    faults = [
        f"the stages {', '.join(names)} share the server {host}:{port} and schema_prefix "
        f"{prefix!r}: give each a schema_prefix of its own, such as {names[-1]}_"
        for (host, port, prefix), names in sharing.items()
        if len(names) > 1
    ]
    if faults:
        raise ValueError("\n".join(faults))


STAGES = {
    stage.name: stage
    for stage in (
        Stage("dev", "acme/*", "ssm:/dora/dev/teams", log_days=7, backup_days=1),
        Stage("staging", "acme/*", "ssm:/dora/staging/teams"),
        Stage(
            "prod",
            "acme/*",
            "ssm:/dora/prod/teams",
            log_days=90,
            instance="t4g.small",
            backup_days=14,
            multi_az=True,
            is_kept=True,
            alarm_email="platform@example.com",
        ),
    )
}
