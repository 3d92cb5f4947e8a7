"""What differs between dev, staging and prod; all else is the same."""

from dataclasses import dataclass

HOURS = 4


@dataclass(frozen=True)
class Existing:
    """A database that is there already, reached without a VPC."""

    secret_arn: str
    host: str
    database: str = "dora"
    port: int = 5432


@dataclass(frozen=True)
class Stage:
    """One deployment."""

    name: str
    repositories: str
    # Where the team configuration is: `ssm:NAME`, in the deployment's own account.
    team_config: str
    log_days: int = 30
    instance: str = "t4g.micro"
    storage_gib: int = 20
    max_storage_gib: int = 100
    backup_days: int = 7
    multi_az: bool = False
    # Deletion protection and a last snapshot.
    is_kept: bool = False
    api_requests_per_second: int = 10
    api_burst: int = 20
    ingest_mib: int = 1024
    transform_mib: int = 1024
    api_mib: int = 512
    alarm_email: str | None = None
    existing: Existing | None = None


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
        ),
    )
}
