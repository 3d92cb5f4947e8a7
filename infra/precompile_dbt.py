"""Parse a dbt project in advance, for `transform.dbt_runner.run_dbt`.

Usage: `python precompile_dbt.py PROJECT SCRATCH`. This is a separate script because dbt changes
the process that it runs in.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from dbt.parser.manifest import extended_mashumaro_encoder

NEVER = datetime(1980, 1, 1, tzinfo=UTC)


def main(project: Path, scratch: Path) -> None:
    """Write `parsed.msgpack` into the project; equal projects give equal bytes."""
    arguments = ["--quiet", "--no-send-anonymous-usage-stats", "parse"]
    arguments += ["--project-dir", str(project), "--profiles-dir", str(project.parent)]
    arguments += ["--target-path", str(scratch / "target"), "--log-path", str(scratch / "logs")]
    outcome = dbtRunner().invoke(arguments)
    manifest = outcome.result
    if not outcome.success or not isinstance(manifest, Manifest):
        sys.exit(f"dbt cannot parse {project}: {outcome.exception}")
    _settle(manifest)
    content = manifest.to_msgpack(extended_mashumaro_encoder)
    if str(project.parent).encode() in content:
        sys.exit(f"the parsed project contains the path of its folder: {project.parent}")
    (project / "parsed.msgpack").write_bytes(content)


def _settle(manifest: Manifest) -> None:
    # The files are only needed to parse again.
    manifest.files = {}
    # dbt builds it again from the other parts; the old one contains times.
    manifest.flat_graph = {}
    manifest.metadata = type(manifest.metadata)(
        generated_at=NEVER,
        invocation_id=None,
        invocation_started_at=None,
        project_name=manifest.metadata.project_name,
        user_id=None,
    )
    for kind in vars(manifest).values():
        for found in kind.values() if isinstance(kind, dict) else ():
            if hasattr(found, "created_at"):
                found.created_at = 0.0


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
