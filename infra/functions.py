"""The stack of the functions, the schedule, the API and what watches them."""

from collections.abc import Mapping
from pathlib import Path

from aws_cdk import Duration, RemovalPolicy, SecretValue, Stack, TimeZone
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.database import DatabaseStack
from infra.machine import TIMEOUT, definition
from infra.nag import accept
from infra.settings import HOURS, Stage

# What Lambda needs to put a function into a VPC; EC2 has no narrower resource for them.
_NETWORK_ACTIONS = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
]
RUNTIME = lambda_.Runtime.PYTHON_3_13


def retention(stage: Stage) -> logs.RetentionDays:
    """CloudWatch's name for so many days."""
    return {
        7: logs.RetentionDays.ONE_WEEK,
        30: logs.RetentionDays.ONE_MONTH,
        90: logs.RetentionDays.THREE_MONTHS,
    }[stage.log_days]


class FunctionsStack(Stack):
    """The four functions, the state machine and its schedule."""

    def __init__(
        self, scope: Construct, name: str, stage: Stage, database: DatabaseStack, packages: Path
    ) -> None:
        super().__init__(scope, name)
        self._stage, self._database, self._packages = stage, database, packages
        self.dead_letters = self._queue("DeadLetters")
        self._make_functions()
        log = self._log("Runs")
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(
                definition(Construct(self, "Run"), self.prepare, self.ingest, self.transform, self.dead_letters)
            ),
            timeout=TIMEOUT,
            tracing_enabled=True,
            logs=sfn.LogOptions(destination=log, level=sfn.LogLevel.ALL),
        )
        scheduler.Schedule(
            self,
            "Schedule",
            schedule=scheduler.ScheduleExpression.cron(
                minute="7", hour=f"*/{HOURS}", time_zone=TimeZone.ETC_UTC
            ),
            target=targets.StepFunctionsStartExecution(
                self.machine, dead_letter_queue=self.dead_letters
            ),
        )

    def _queue(self, name: str) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            name,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        accept(queue, {"AwsSolutions-SQS3": "This is the dead letter queue itself."})
        return queue

    def _log(self, name: str) -> logs.LogGroup:
        return logs.LogGroup(
            self,
            f"{name}Log",
            retention=retention(self._stage),
            removal_policy=RemovalPolicy.DESTROY,
        )

    def _make_functions(self) -> None:
        stage, logins = self._stage, self._database.logins
        secrets = {
            "DB_SECRET_ARN": self._database.admin,
            **{f"{name.upper()}_LOGIN_SECRET_ARN": secret for name, secret in logins.items()},
        }
        self.prepare = self._function("Prepare", "transform", "transform.prepare.handler", secrets)
        github = self._given_secret("GitHub", "the token of GitHub, or the GitHub App as JSON")
        keys = self._given_secret("ApiKeys", "the JSON array of API keys", "[]")
        self.ingest = self._function(
            "Ingest",
            "ingest",
            "ingest.handler.handler",
            {"DB_SECRET_ARN": logins["ingest"], "GITHUB_SECRET_ARN": github},
            {
                "REPOSITORIES": stage.repositories,
                "TEAM_CONFIG_JSON": stage.team_config,
                "DLQ_URL": self.dead_letters.queue_url,
            },
            mib=stage.ingest_mib,
            concurrency=1,
        )
        self.dead_letters.grant_send_messages(self.ingest)
        parameter = stage.team_config.removeprefix("ssm:").lstrip("/")
        arn = self.format_arn(service="ssm", resource="parameter", resource_name=parameter)
        self.ingest.add_to_role_policy(
            iam.PolicyStatement(actions=["ssm:GetParameter"], resources=[arn])
        )
        self.transform = self._function(
            "Transform",
            "transform",
            "transform.handler.handler",
            {"DB_SECRET_ARN": logins["transform"]},
            mib=stage.transform_mib,
            concurrency=1,
        )
        self.api = self._function(
            "Api",
            "api",
            "api.handler.handler",
            {"DB_SECRET_ARN": logins["reader"], "API_KEYS_SECRET_ARN": keys},
            mib=stage.api_mib,
            seconds=29,
        )

    def _given_secret(self, name: str, holds: str, text: str | None = None) -> secretsmanager.Secret:
        value = SecretValue.unsafe_plain_text(text) if text else None
        secret = secretsmanager.Secret(
            self, name, description=f"dora-metrics: {holds}", secret_string_value=value
        )
        reason = "Given by hand, and rotated so (docs/operations.md)."
        accept(secret, {"AwsSolutions-SMG4": reason})
        return secret

    def _function(
        self,
        name: str,
        package: str,
        handler: str,
        secrets: Mapping[str, secretsmanager.ISecret],
        environment: Mapping[str, str] | None = None,
        *,
        mib: int = 512,
        seconds: int = 900,
        concurrency: int | None = None,
    ) -> lambda_.Function:
        """A function with a role that reads its own secrets, writes its own log, and no more."""
        log = self._log(name)
        role = iam.Role(
            self, f"{name}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com")
        )
        log.grant_write(role)
        network = self._database.network
        where = {}
        if network is not None:
            role.add_to_policy(
                iam.PolicyStatement(actions=_NETWORK_ACTIONS, resources=["*"])
            )
            subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
            where = {
                "vpc": network.vpc,
                "vpc_subnets": subnets,
                "security_groups": [network.group],
            }
        function = lambda_.Function(
            self,
            name,
            runtime=RUNTIME,
            architecture=lambda_.Architecture.ARM_64,
            code=lambda_.Code.from_asset(str(self._packages / f"{package}.zip")),
            handler=handler,
            role=role,
            memory_size=mib,
            timeout=Duration.seconds(seconds),
            reserved_concurrent_executions=concurrency,
            log_group=log,
            environment={
                "LOG_LEVEL": "INFO",
                "DORA_HOME": "/tmp/dora",
                **self._database.address,
                **{setting: secret.secret_arn for setting, secret in secrets.items()},
                **(environment or {}),
            },
            **where,
        )
        for secret in secrets.values():
            secret.grant_read(role)
        return function
