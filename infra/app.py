"""`make synth`: the CloudFormation templates of every stage, checked as they are made."""

import argparse
import os
import sys
from pathlib import Path

from infra.package import OUT, ROOT

# The machine's own Node may be too old for the CDK; the wheel's is in the virtual environment.
os.environ.setdefault("JSII_NODE", str(Path(sys.executable).with_name("node")))

from aws_cdk import App, Stack, Validations
from cdk_nag import AwsSolutionsChecks

from infra.database import DatabaseStack
from infra.functions import FunctionsStack
from infra.service import ServiceStack
from infra.settings import STAGES, Stage

CDK_OUT = ROOT / "build" / "cdk.out"


def add_stage(app: App, stage: Stage, packages: Path = OUT) -> list[Stack]:
    """Add the three stacks of a stage."""
    prefix = f"dora-{stage.name}"
    database = DatabaseStack(app, f"{prefix}-database", stage)
    functions = FunctionsStack(app, f"{prefix}-functions", stage, database, packages)
    service = ServiceStack(app, f"{prefix}-service", stage, database, functions)
    return [database, functions, service]


def main() -> None:
    """Write the templates of all stages, or of those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="*", default=list(STAGES), metavar="STAGE")
    parser.add_argument("--out", type=Path, default=CDK_OUT)
    options = parser.parse_args()
    app = App(outdir=str(options.out), analytics_reporting=False)
    for name in options.stages:
        add_stage(app, STAGES[name])
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    print(options.out)


if __name__ == "__main__":
    main()
