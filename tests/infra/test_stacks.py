"""The templates of the stages: security, rights, alarms and settings."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stack_templates import Template, listed

from infra.settings import FOLDER, ExistingDatabase, Stage, expect_no_shared_roles, read_stages
from transform.dbt_runner import ROOT

STAGES = read_stages()
Stacks = dict[str, dict[str, Template]]

LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
SECRET = {"secretsmanager:GetSecretValue"}
NETWORK = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}
QUEUE = {"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage"}
ALARMS = {
    *("RunFailed", "RunTimedOut", "NoSuccessfulRun", "DeadLetters", "ApiErrors", "ApiSlow"),
    *("DatabaseStorage", "DatabaseCpu"),
}


@pytest.fixture(params=[*STAGES, "there"])
def stage(request: pytest.FixtureRequest, templates: Stacks) -> dict[str, Template]:
    return templates[request.param]


def test_the_stages_have_the_same_resource_types(templates: Stacks) -> None:
    assert templates.keys() == {*STAGES, "there"}
    for stack in templates["prod"]:
        kinds = [
            sorted(
                each["Type"]
                for each in templates[stage][stack].resources.values()
                if each["Type"] != "AWS::SNS::Subscription"
            )
            for stage in STAGES
        ]
        assert kinds == [kinds[0]] * len(STAGES), stack


def test_every_function_is_for_arm_and_logs_are_kept_at_most_90_days(
    stage: dict[str, Template],
) -> None:
    functions = stage["functions"].of("Lambda::Function")
    assert functions.keys() == {"Prepare", "Ingest", "Transform", "Api"}
    logs = stage["functions"].of("Logs::LogGroup")
    for name, function in functions.items():
        assert (function["Architectures"], function["Runtime"]) == (["arm64"], "python3.13")
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        assert function["LoggingConfig"]["LogGroup"]["Ref"].startswith(f"{name}Log")
    for template in stage.values():
        for log in template.of("Logs::LogGroup").values():
            assert log["RetentionInDays"] <= 90
    assert {"PrepareLog", "IngestLog", "TransformLog", "ApiLog", "MachineLog"} == logs.keys()


def test_no_two_ingests_run_at_once(stage: dict[str, Template]) -> None:
    functions = stage["functions"].of("Lambda::Function")
    assert functions["Ingest"]["ReservedConcurrentExecutions"] == 1
    assert functions["Transform"]["ReservedConcurrentExecutions"] == 1


def test_a_run_starts_every_four_hours(stage: dict[str, Template]) -> None:
    schedule = stage["functions"].only("Scheduler::Schedule")
    assert schedule["ScheduleExpression"] == "cron(7 */4 * * ? *)"
    assert schedule["State"] == "ENABLED"
    assert schedule["Target"]["Arn"]["Ref"][:-8] == "Machine"
    assert "DeadLetters" in schedule["Target"]["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]


@pytest.mark.parametrize("name", STAGES)
def test_the_database_is_encrypted_backed_up_and_not_public(templates: Stacks, name: str) -> None:
    template, settings = templates[name]["database"], STAGES[name]
    instance = template.only("RDS::DBInstance")
    assert instance["StorageEncrypted"] is True
    assert instance["PubliclyAccessible"] is False
    assert instance["BackupRetentionPeriod"] == settings.backup_days >= 1
    assert instance["DeletionProtection"] is (name == "prod")
    assert "g." in instance["DBInstanceClass"]
    assert instance["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in instance
    assert template.only("RDS::DBParameterGroup")["Parameters"]["rds.force_ssl"] == "1"
    [way_in] = template.of("EC2::SecurityGroupIngress").values()
    assert way_in["SourceSecurityGroupId"]["Fn::GetAtt"][0].startswith("Functions")
    assert [
        group
        for group in template.of("EC2::SecurityGroup").values()
        if "SecurityGroupIngress" in group
    ] == []
    subnets = [each["Ref"] for each in template.only("RDS::DBSubnetGroup")["SubnetIds"]]
    assert len(subnets) == 2
    assert all(subnet.startswith("VpcdatabaseSubnet") for subnet in subnets)
    assert [route for route in template.of("EC2::Route") if "database" in route] == []


def test_prods_database_outlives_its_stack(templates: Stacks) -> None:
    [instance] = [
        each
        for each in templates["prod"]["database"].resources.values()
        if each["Type"] == "AWS::RDS::DBInstance"
    ]
    assert instance["DeletionPolicy"] == instance["UpdateReplacePolicy"] == "Snapshot"


def test_an_existing_database_needs_no_vpc(templates: Stacks) -> None:
    there = templates["there"]
    kinds = {each["Type"] for stack in there.values() for each in stack.resources.values()}
    assert [kind for kind in kinds if kind.startswith(("AWS::EC2", "AWS::RDS"))] == []
    functions = there["functions"].of("Lambda::Function")
    for function in functions.values():
        assert "VpcConfig" not in function
        variables = function["Environment"]["Variables"]
        assert (variables["PGHOST"], variables["PGPORT"]) == ("warehouse.example.com", "6432")
        assert (variables["PGDATABASE"], variables["PGSSLMODE"]) == ("warehouse", "require")
    assert "secret:warehouse" in functions["Prepare"]["Environment"]["Variables"]["DB_SECRET_ARN"]
    assert there["service"].of("CloudWatch::Alarm").keys() == ALARMS - {
        "DatabaseStorage",
        "DatabaseCpu",
    }


def test_schemas_roles_and_logins_of_a_stage_begin_with_its_prefix(templates: Stacks) -> None:
    for name, prefix in (("prod", ""), ("there", "dora_there_")):
        for function in templates[name]["functions"].of("Lambda::Function").values():
            assert function["Environment"]["Variables"]["DORA_SCHEMA_PREFIX"] == prefix
        secrets = templates[name]["database"].of("SecretsManager::Secret").values()
        logins = [
            json.loads(secret["GenerateSecretString"]["SecretStringTemplate"])["username"]
            for secret in secrets
        ]
        assert sorted(logins) == [
            f"{prefix}dora_{login}_login" for login in ("ingest", "reader", "transform")
        ]


def on_server(name: str, host: str, prefix: str, port: int = 5432) -> Stage:
    database = ExistingDatabase("arn", host, name, port)
    return replace(STAGES["dev"], name=name, use_existing_database=database, schema_prefix=prefix)


def test_stages_that_would_share_roles_are_refused() -> None:
    first = on_server("first", "db.example.com", "a_")
    expect_no_shared_roles(
        [
            *STAGES.values(),
            first,
            on_server("second", "db.example.com", "b_"),
            on_server("third", "db.example.com", "a_", 5433),
            on_server("fourth", "other.example.com", "a_"),
        ]
    )
    with pytest.raises(ValueError, match=r"first, second share the server db\.example\.com:5432"):
        expect_no_shared_roles([first, on_server("second", "DB.example.com.", "a_")])
    with pytest.raises(ValueError, match="not a prefix"):
        on_server("bad", "db.example.com", "Bad-")


def synth(settings: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `make synth`'s program with the stages of this folder."""
    command = [sys.executable, "-m", "infra.app", "--settings", settings, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_make_synth_names_stages_that_share_roles(tmp_path: Path) -> None:
    there = '\n[use_existing_database]\nsecret_arn = "arn"\nhost = "db.example.com"\n'
    for file in FOLDER.glob("*.toml"):
        there_too = "" if file.stem == "prod" else there
        (tmp_path / file.name).write_text(file.read_text("utf-8") + there_too)
    done = synth(tmp_path, "prod", "dev", "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("the stages dev, staging share")
    assert "Traceback" not in done.stderr


def test_make_synth_names_every_fault_of_the_stage_files(tmp_path: Path) -> None:
    dev = 'source_repository = "a/b"\nstorage_gib = "twenty"\nzones = 2\n'
    (tmp_path / "dev.toml").write_text(dev)
    (tmp_path / "prod.toml").write_text("log_days =\n")
    done = synth(tmp_path)
    assert done.returncode == 1
    faults = [line.removeprefix(f"{tmp_path}/") for line in done.stderr.splitlines()]
    assert [fault.partition(": ")[0] for fault in faults] == ["dev.toml"] * 4 + ["prod.toml"]
    for fault in ("repositories: ", "team_config: ", "storage_gib: ", "zones: "):
        assert sum(f"dev.toml: {fault}" in line for line in faults) == 1


def test_make_synth_refuses_a_stage_without_a_file(tmp_path: Path) -> None:
    assert f"{tmp_path} has no file NAME.toml" in synth(tmp_path).stderr
    assert "has no qa.toml" in synth(FOLDER, "qa").stderr


def test_the_transform_gets_the_time_zone_and_the_attribution_instant(templates: Stacks) -> None:
    functions = templates["there"]["functions"]
    told = functions.of("Lambda::Function")["Transform"]["Environment"]["Variables"]
    assert told["REPORTING_TIMEZONE"] == "Europe/Berlin"
    assert told["ATTRIBUTION_INSTANT"] == "created_at"


def test_the_ingest_gets_the_rules_and_bots_and_may_read_them(templates: Stacks) -> None:
    functions = templates["there"]["functions"]
    told = functions.of("Lambda::Function")["Ingest"]["Environment"]["Variables"]
    assert told["PULL_REQUESTS"] == "ssm:/dora/there/rules"
    assert told["AUTOMATION_LOGINS"] == "acme-ci"
    readable = [
        json.dumps(statement["Resource"])
        for role, statement in functions.statements()
        if role == "IngestRole" and "ssm:GetParameter" in listed(statement["Action"])
    ]
    assert any("parameter/dora/there/rules" in resource for resource in readable)


@pytest.mark.parametrize(
    ("name", "references"),
    [
        *((name, {"ssm:GetParameter"}) for name in STAGES),
        ("there", {"ssm:GetParameter", "s3:GetObject"}),
    ],
)
def test_each_role_has_only_the_rights_that_it_needs(
    templates: Stacks, name: str, references: set[str]
) -> None:
    actions = templates[name]["functions"].actions()
    own = LOGS | SECRET | (set() if name == "there" else NETWORK)
    assert actions.pop("IngestRole") == own | QUEUE | {"sqs:SendMessage"} | references
    for role in ("PrepareRole", "TransformRole", "ApiRole"):
        assert actions.pop(role) == own, role
    machine = actions.pop("MachineRole")
    assert {each for each in machine if not each.startswith(("logs:", "xray:"))} == {
        "lambda:InvokeFunction",
        "sqs:SendMessage",
    }
    [(scheduler, allowed)] = actions.items()
    assert scheduler.startswith("SchedulerRole")
    assert allowed == {"states:StartExecution", "sqs:SendMessage"}


def test_only_network_and_state_machine_rights_use_a_wildcard(
    stage: dict[str, Template],
) -> None:
    for template in stage.values():
        for role, statement in template.statements():
            actions = set(listed(statement["Action"]))
            assert [action for action in actions if "*" in action] == []
            if statement["Resource"] == "*":
                assert actions == NETWORK or role == "MachineRole", (role, actions)


def test_each_function_reads_only_its_own_secrets(templates: Stacks) -> None:
    for name, stacks in templates.items():
        template = stacks["functions"]
        readers = {
            role: sorted(map(secret_of, listed(statement["Resource"])))
            for role, statement in template.statements()
            if set(listed(statement["Action"])) == SECRET
        }
        administrator = "warehouse" if name == "there" else "Instance"
        logins = ["IngestLogin", "ReaderLogin", "TransformLogin"]
        assert readers == {
            "PrepareRole": sorted([administrator, *logins]),
            "IngestRole": ["GitHub", "IngestLogin"],
            "TransformRole": ["TransformLogin"],
            "ApiRole": ["ApiKeys", "ReaderLogin"],
        }


def secret_of(resource: Any) -> str:
    text = str(resource)
    names = ("GitHub", "ApiKeys", "IngestLogin", "ReaderLogin", "TransformLogin", "Instance")
    return next((name for name in names if name in text), "warehouse")


def test_every_alarm_is_sent_to_the_topic(stage: dict[str, Template]) -> None:
    template = stage["service"]
    [topic] = [
        name for name, each in template.resources.items() if each["Type"] == "AWS::SNS::Topic"
    ]
    alarms = template.of("CloudWatch::Alarm")
    assert alarms.keys() <= ALARMS
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [{"Ref": topic}]


def test_missing_runs_raise_an_alarm_and_the_latency_alarm_uses_p99(
    templates: Stacks,
) -> None:
    alarms = templates["prod"]["service"].of("CloudWatch::Alarm")
    assert alarms.keys() == ALARMS
    silent = alarms["NoSuccessfulRun"]
    assert silent["TreatMissingData"] == "breaching"
    assert silent["Period"] * silent["EvaluationPeriods"] == 9 * 3600
    assert alarms["ApiSlow"]["ExtendedStatistic"] == "p99"


def test_the_api_is_throttled_and_logs_no_key(stage: dict[str, Template]) -> None:
    served = stage["service"].only("ApiGatewayV2::Stage")
    assert served["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
    assert served["DefaultRouteSettings"]["ThrottlingBurstLimit"] > 0
    assert "header" not in served["AccessLogSettings"]["Format"].lower()
    assert "AccessLog" in str(served["AccessLogSettings"]["DestinationArn"])


def test_only_the_repositorys_workflow_for_a_stage_may_deploy_it(templates: Stacks) -> None:
    for name, stacks in templates.items():
        [trust] = stacks["deployer"].only("IAM::Role")["AssumeRolePolicyDocument"]["Statement"]
        issuer = "token.actions.githubusercontent.com"
        assert trust["Condition"] == {
            "StringEquals": {
                f"{issuer}:aud": "sts.amazonaws.com",
                f"{issuer}:sub": f"repo:acme/dora-metrics:environment:{name}",
            }
        }
        assert stacks["deployer"].of("IAM::User") == {}


def test_an_unaccepted_finding_fails_the_synth(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from infra import app, database\n"
        "database.accept = lambda construct, reasons: None\n"
        "app._add_stage = lambda built, stage, _: database.DatabaseStack(built, 'a', stage)\n"
        "app.synthesise([app.read_stages()['dev']], Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", script, tmp_path / "out"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "AwsSolutions-SMG4" in done.stdout + done.stderr


def test_cfn_lint_finds_nothing(cdk_out: Path) -> None:
    command = [Path(sys.executable).with_name("cfn-lint"), *cdk_out.glob("*.template.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
