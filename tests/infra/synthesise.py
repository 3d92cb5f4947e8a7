"""Write the templates of every stage, and of one on an existing database: OUT PACKAGES.

This is a separate script, so that the tests do not start the CDK's Node as their child.
"""

import sys
from dataclasses import replace
from pathlib import Path

from infra.app import synthesise
from infra.settings import ExistingDatabase, read_stages

STAGES = read_stages()
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:warehouse-AbCdEf"
THERE = replace(
    STAGES["dev"],
    name="there",
    repositories="s3://acme-settings/repositories.txt",
    pull_requests="ssm:/dora/there/rules",
    automation_logins="acme-ci",
    schema_prefix="dora_there_",
    reporting_timezone="Europe/Berlin",
    attribution_instant="created_at",
    use_existing_database=ExistingDatabase(SECRET, "warehouse.example.com", "warehouse", 6432),
)

if __name__ == "__main__":
    synthesise([*STAGES.values(), THERE], Path(sys.argv[1]), Path(sys.argv[2]))
