"""`make synth`: the CloudFormation templates of every stage, checked as they are made."""

import argparse
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

# The machine's own Node may be too old for the CDK; the wheel's is in the virtual environment.
os.environ.setdefault("JSII_NODE", str(Path(sys.executable).with_name("node")))

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from infra.api_and_alarms import ServiceStack
from infra.database import DatabaseStack
from infra.functions import FunctionsStack
from infra.github_oidc import DeployerStack
from infra.package import OUT
from infra.settings import STAGES, Stage, expect_no_shared_roles
from transform.dbt_runner import ROOT

CDK_OUT = ROOT / "build" / "cdk.out"


def synthesise(stages: Iterable[Stage], out: Path, packages: Path = OUT) -> None:
    """Write the templates of these stages into a folder that is theirs alone.

    Raises `RuntimeError` with every finding of cdk-nag's AwsSolutions that nobody has accepted,
    `ValueError` for stages that would share roles, these or others of the settings.
    """
    stages = list(stages)
    expect_no_shared_roles((STAGES | {stage.name: stage for stage in stages}).values())
    shutil.rmtree(out, ignore_errors=True)
    app = App(outdir=str(out), analytics_reporting=False)
    for stage in stages:
        _add_stage(app, stage, packages)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()


def _add_stage(app: App, stage: Stage, packages: Path) -> None:
    prefix = f"dora-{stage.name}"
    database = DatabaseStack(app, f"{prefix}-database", stage)
    functions = FunctionsStack(app, f"{prefix}-functions", stage, database, packages)
    ServiceStack(app, f"{prefix}-service", stage, database, functions)
    DeployerStack(app, f"{prefix}-deployer", stage)


def main() -> None:
    """Write the templates of all stages, or of those that are named; fail for what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="*", default=list(STAGES), metavar="STAGE")
    parser.add_argument("--out", type=Path, default=CDK_OUT)
    options = parser.parse_args()
    try:
        synthesise([STAGES[name] for name in options.stages], options.out)
    except ValueError as error:
        sys.exit(str(error))
    print(options.out)


if __name__ == "__main__":
    main()
