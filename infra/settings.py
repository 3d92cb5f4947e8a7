"""The settings of the stages, one file each in `infra/stages/`."""

import tomllib
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from dora.schemas import Schemas

FOLDER = Path(__file__).with_name("stages")

HOURS = 4
# After this time a run stops waiting for GitHub and builds the marts from the loaded rows. The last
# ingest and the transform take at most 15 minutes each and end before the next scheduled run.
LONGEST_WAIT = timedelta(hours=3)
# The retries of a failed step; the pause doubles each time.
RETRIES = 4
FIRST_PAUSE = timedelta(seconds=30)
# How long a step waits if another run is using its function.
BUSY_MINUTES = 30
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class ExistingDatabase:
    """An existing database, which is reached without a VPC.

    The secret holds `username` and `password` of a login with CREATEROLE.
    """

    secret_arn: str
    host: str
    database: str = "dora"
    port: int = 5432


@dataclass(frozen=True, config=_STRICT)
class Stage:
    """One deployment.

    `source_repository` is the GitHub repository (`owner/name`) whose workflows may deploy it.
    `repositories`, `team_config`, `pull_requests`, `deployments` and `incidents` set
    `REPOSITORIES`, `TEAM_CONFIG_JSON`, `PULL_REQUESTS`, `DEPLOYMENTS` and `INCIDENTS` of
    docs/configuration.md: the value, or a reference to it (`ssm:NAME`, `s3://BUCKET/KEY`).
    `automation_logins`, `reporting_timezone` and `attribution_instant` set the variables of those
    names; an empty one is unset. `instance` is a Graviton RDS instance type without `db.`.
    `is_kept` gives the database deletion protection and a final snapshot. Without `alarm_email`,
    the stack subscribes nobody to the topic of the alarms. `schema_prefix` sets
    `DORA_SCHEMA_PREFIX` for an existing database: the names of schemas, roles and logins begin with
    it. Raises `ValueError` if it is not a valid prefix.
    """

    name: str
    source_repository: str
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
    # Each one holds a database connection.
    api_concurrency: int = 5
    api_requests_per_second: int = 10
    api_burst: int = 20
    alarm_email: str | None = None

    def __post_init__(self) -> None:
        Schemas(self.schema_prefix)


def expect_no_shared_roles(stages: Iterable[Stage]) -> None:
    """Raise `ValueError` with all stages that have the same server and the same prefix.

    Roles and logins belong to a server, not to a database: one stage would change the passwords of
    the other's logins, and its reader could read the other's marts.
    """
    sharing: dict[tuple[str, int, str], list[str]] = {}
    for stage in stages:
        if (there := stage.use_existing_database) is not None:
            server = (there.host.lower().rstrip("."), there.port, stage.schema_prefix)
            sharing.setdefault(server, []).append(stage.name)
    faults = [
        f"the stages {', '.join(names)} share the server {host}:{port} and schema_prefix "
        f"{prefix!r}: give each a different schema_prefix, such as {names[-1]}_"
        for (host, port, prefix), names in sharing.items()
        if len(names) > 1
    ]
    if faults:
        raise ValueError("\n".join(faults))


def read_stages(folder: Path = FOLDER) -> dict[str, Stage]:
    """Read the stages from the files `NAME.toml` of a folder, by name.

    Raises `ValueError` with every fault of every file.
    """
    stages, faults = {}, []
    for path in sorted(folder.glob("*.toml")):
        try:
            values = tomllib.loads(path.read_text("utf-8")) | {"name": path.stem}
            stages[path.stem] = TypeAdapter(Stage).validate_python(values)
        except tomllib.TOMLDecodeError as error:
            faults.append(f"{path}: {error}")
        except ValidationError as error:
            faults += [
                f"{path}: {'.'.join(map(str, one['loc']))}: {one['msg']}"
                for one in error.errors(include_url=False)
            ]
    if not stages and not faults:
        faults.append(f"{folder} has no file NAME.toml")
    if faults:
        raise ValueError("\n".join(faults))
    return stages
