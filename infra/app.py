"""`make synth`: write and check the CloudFormation templates of every stage."""

import argparse
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

# The system's Node may be too old for the CDK; use the one in the virtual environment.
os.environ.setdefault("JSII_NODE", str(Path(sys.executable).with_name("node")))

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from infra.api_and_alarms import ServiceStack
from infra.database import DatabaseStack
from infra.functions import FunctionsStack
from infra.github_oidc import DeployerStack
from infra.package import OUT
from infra.settings import FOLDER, Stage, expect_no_shared_roles, read_stages
from transform.dbt_runner import ROOT

CDK_OUT = ROOT / "build" / "cdk.out"


def synthesise(stages: Iterable[Stage], out: Path, packages: Path = OUT) -> None:
    """Write the templates of these stages into `out`, whose previous content is deleted.

    Raises `RuntimeError` with every finding of cdk-nag's AwsSolutions that is not accepted.
    """
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
    """Write the templates of the named stages, by default of all; exit with 1 if one is invalid."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="*", metavar="STAGE")
    parser.add_argument("--out", type=Path, default=CDK_OUT)
    parser.add_argument("--settings", type=Path, default=FOLDER, help="the folder of STAGE.toml")
    options = parser.parse_args()
    try:
        stages = read_stages(options.settings)
        expect_no_shared_roles(stages.values())
        if unknown := set(options.stages) - stages.keys():
            raise ValueError(f"{options.settings} has no {', '.join(sorted(unknown))}.toml")
    except ValueError as error:
        sys.exit(str(error))
    synthesise([stages[name] for name in options.stages or stages], options.out)
    print(options.out)


if __name__ == "__main__":
    main()
