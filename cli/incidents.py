"""`dora incidents`: check a file of incidents before it is used."""

from collections import Counter
from typing import Annotated

import typer

from cli.console import tell
from dora.plurals import counted

app = typer.Typer(help="Check a file of incidents.", no_args_is_help=True)


@app.command()
def check(
    file: Annotated[str, typer.Argument(help="CSV or JSON: a file's path, s3://…, ssm:….")],
) -> None:
    """Validate a file of incidents; report every fault at once."""
    from ingest.delivery.incident_rules import read_incidents

    incidents = read_incidents(file)
    open_ones = sum(incident.resolved_at is None for incident in incidents)
    unlinked = sum(incident.is_unlinked for incident in incidents)
    sources = Counter(incident.source for incident in incidents)
    if unlinked:
        tell(
            f"warning: {counted(unlinked, 'incident')} without repository, target, deployment_id, "
            "commit_sha and pull_request: no deployment can be linked to them"
        )
    counts = [counted(len(incidents), "incident"), f"{open_ones} open"]
    counts += [f"{count} from {source}" for source, count in sorted(sources.items())]
    tell(f"{file} is valid: {', '.join(counts)}")
