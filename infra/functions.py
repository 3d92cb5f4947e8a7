"""The stack of the Lambda functions, the state machine and its schedule."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import CfnOutput, Duration, RemovalPolicy, SecretValue, Stack, TimeZone
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

from infra.cdk_nag_exceptions import accept
from infra.database import DatabaseStack
from infra.settings import HOURS, Stage
from infra.state_machine import TIMEOUT, Steps

RUNTIME = lambda_.Runtime.PYTHON_3_13
LOG_LEVEL = "INFO"
RETENTIONS = {
    7: logs.RetentionDays.ONE_WEEK,
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
}
# Lambda's longest timeout, and API Gateway's for a response.
LONGEST_SECONDS, API_SECONDS = 900, 29
# Lambda needs these to attach a function to a VPC.
NETWORK_ACTIONS = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]
# Step Functions needs these to trace and log a run.
MACHINE_ACTIONS = [
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
]
# A retry deletes the ingest's own messages from the queue.
QUEUE_ACTIONS = [
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
]


def keep_log(scope: Construct, name: str, stage: Stage) -> logs.LogGroup:
    """Return a log group that is deleted with its stack."""
    return logs.LogGroup(
        scope,
        name,
        retention=RETENTIONS[stage.log_days],
        removal_policy=RemovalPolicy.DESTROY,
    )


class FunctionsStack(Stack):
    """Four functions, each with its own role, and the state machine that calls three of them."""

    def __init__(
        self, scope: Construct, name: str, stage: Stage, database: DatabaseStack, packages: Path
    ) -> None:
        super().__init__(scope, name)
        self._stage, self._database, self._packages = stage, database, packages
        self.dead_letters = self._make_queue()
        self.prepare = self._make_prepare()
        self.ingest = self._make_ingest()
        self.transform = self._function(
            *("Transform", "transform.handler.handler"),
            {"DB_SECRET_ARN": database.logins["transform"]},
            {
                "REPORTING_TIMEZONE": stage.reporting_timezone,
                "ATTRIBUTION_INSTANT": stage.attribution_instant,
            },
            memory_size=stage.transform_mib,
            reserved_concurrent_executions=1,
        )
        self.api = self._make_api()
        self.machine = self._make_machine()
        self._schedule()
        CfnOutput(self, "MachineArn", value=self.machine.state_machine_arn)
        CfnOutput(self, "IngestFunctionName", value=self.ingest.function_name)
        CfnOutput(self, "DeadLettersUrl", value=self.dead_letters.queue_url)

    def _make_prepare(self) -> lambda_.Function:
        arns = {
            f"{login.upper()}_LOGIN_SECRET_ARN": secret
            for login, secret in self._database.logins.items()
        }
        return self._function(
            *("Prepare", "transform.prepare.handler"),
            {"DB_SECRET_ARN": self._database.admin, **arns},
        )

    def _make_ingest(self) -> lambda_.Function:
        stage = self._stage
        github = self._secret("GitHub", "the GitHub token, or the GitHub App as JSON")
        function = self._function(
            *("Ingest", "ingest.handler.handler"),
            {"DB_SECRET_ARN": self._database.logins["ingest"], "GITHUB_SECRET_ARN": github},
            {
                "REPOSITORIES": stage.repositories,
                "TEAM_CONFIG_JSON": stage.team_config,
                "PULL_REQUESTS": stage.pull_requests,
                "DEPLOYMENTS": stage.deployments,
                "INCIDENTS": stage.incidents,
                "AUTOMATION_LOGINS": stage.automation_logins,
                "DLQ_URL": self.dead_letters.queue_url,
            },
            memory_size=stage.ingest_mib,
            # A second one would only wait for the lock of the first.
            reserved_concurrent_executions=1,
        )
        function.add_to_role_policy(
            iam.PolicyStatement(actions=QUEUE_ACTIONS, resources=[self.dead_letters.queue_arn])
        )
        for reference in (
            *(stage.repositories, stage.team_config, stage.pull_requests),
            *(stage.deployments, stage.incidents),
        ):
            if (statement := self._may_read(reference)) is not None:
                function.add_to_role_policy(statement)
        return function

    def _make_api(self) -> lambda_.Function:
        keys = self._secret("ApiKeys", "the JSON array of API keys", "[]")
        return self._function(
            *("Api", "api.handler.handler"),
            {"DB_SECRET_ARN": self._database.logins["reader"], "API_KEYS_SECRET_ARN": keys},
            memory_size=self._stage.api_mib,
            timeout=Duration.seconds(API_SECONDS),
            reserved_concurrent_executions=self._stage.api_concurrency,
        )

    def _may_read(self, reference: str) -> iam.PolicyStatement | None:
        """Return the right to read a setting from S3 or SSM, as `dora.remote_config` does."""
        if reference.startswith("ssm:"):
            name = reference.removeprefix("ssm:").lstrip("/")
            arn = self.format_arn(service="ssm", resource="parameter", resource_name=name)
            return iam.PolicyStatement(actions=["ssm:GetParameter"], resources=[arn])
        if reference.startswith("s3://"):
            arn = f"arn:{self.partition}:s3:::{reference.removeprefix('s3://')}"
            return iam.PolicyStatement(actions=["s3:GetObject"], resources=[arn])
        return None

    def _secret(self, name: str, holds: str, text: str | None = None) -> secretsmanager.Secret:
        value = SecretValue.unsafe_plain_text(text) if text else None
        secret = secretsmanager.Secret(
            self, name, description=f"dora-metrics: {holds}", secret_string_value=value
        )
        CfnOutput(self, f"{name}Secret", value=secret.secret_arn)
        reason = "Its issuer is outside AWS; it is rotated by hand (docs/operations.md)."
        accept(secret, {"AwsSolutions-SMG4": reason})
        return secret

    def _function(
        self,
        name: str,
        handler: str,
        secrets: Mapping[str, secretsmanager.ISecret],
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> lambda_.Function:
        """Return a function whose role may only read its secrets and write its log."""
        package = self._packages / f"{handler.partition('.')[0]}.zip"
        log = keep_log(self, f"{name}Log", self._stage)
        settings = {
            "LOG_LEVEL": LOG_LEVEL,
            "DORA_HOME": "/tmp/dora",
            "DORA_SCHEMA_PREFIX": self._stage.schema_prefix,
            **self._database.address,
            **{setting: secret.secret_arn for setting, secret in secrets.items()},
            **(environment or {}),
        }
        function = lambda_.Function(
            self,
            name,
            runtime=RUNTIME,
            architecture=lambda_.Architecture.ARM_64,
            code=lambda_.Code.from_asset(str(package)),
            handler=handler,
            role=self._role(name, log, secrets),
            log_group=log,
            logging_format=lambda_.LoggingFormat.JSON,
            application_log_level_v2=lambda_.ApplicationLogLevel[LOG_LEVEL],
            environment=settings,
            **{
                "memory_size": 512,
                "timeout": Duration.seconds(LONGEST_SECONDS),
                **self._where(),
                **options,
            },
        )
        reason = "The packages are built for this runtime; AWS supports it until 2029."
        accept(function, {"AwsSolutions-L1": reason})
        return function

    def _role(
        self, name: str, log: logs.LogGroup, secrets: Mapping[str, secretsmanager.ISecret]
    ) -> iam.Role:
        role = iam.Role(
            self, f"{name}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com")
        )
        log.grant_write(role)
        arns = [secret.secret_arn for secret in secrets.values()]
        role.add_to_policy(
            iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=arns)
        )
        if self._database.network is not None:
            role.add_to_policy(iam.PolicyStatement(actions=NETWORK_ACTIONS, resources=["*"]))
            reason = "A network interface has no ARN before it exists; EC2 accepts only * here."
            accept(role, {"AwsSolutions-IAM5[Resource::*]": reason})
        return role

    def _where(self) -> dict[str, Any]:
        network = self._database.network
        if network is None:
            return {}
        subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
        return {"vpc": network.vpc, "vpc_subnets": subnets, "security_groups": [network.group]}

    def _make_queue(self) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            "DeadLetters",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        accept(queue, {"AwsSolutions-SQS3": "This queue is the dead letter queue."})
        return queue

    def _make_machine(self) -> sfn.StateMachine:
        called = {"prepare": self.prepare, "ingest": self.ingest, "transform": self.transform}
        steps = Steps(self, "Steps", **called, dead_letters=self.dead_letters)
        role = self._machine_role(list(called.values()))
        return sfn.StateMachine(
            self,
            "Machine",
            state_machine_name=f"dora-{self._stage.name}",
            definition_body=sfn.DefinitionBody.from_chainable(steps.start),
            timeout=TIMEOUT,
            # Otherwise the tasks add the right to call any version of a function.
            role=role.without_policy_updates(),
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=keep_log(self, "MachineLog", self._stage), level=sfn.LogLevel.ALL
            ),
        )

    def _machine_role(self, called: list[lambda_.Function]) -> iam.Role:
        may = {
            "lambda:InvokeFunction": [function.function_arn for function in called],
            "sqs:SendMessage": [self.dead_letters.queue_arn],
        }
        statements = [
            iam.PolicyStatement(actions=[action], resources=arns) for action, arns in may.items()
        ]
        statements.append(iam.PolicyStatement(actions=MACHINE_ACTIONS, resources=["*"]))
        role = iam.Role(
            self,
            "MachineRole",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
            inline_policies={"Run": iam.PolicyDocument(statements=statements)},
        )
        reason = "AWS grants these tracing and log delivery actions on * only."
        accept(role, {"AwsSolutions-IAM5[Resource::*]": reason})
        return role

    def _schedule(self) -> None:
        target = targets.StepFunctionsStartExecution(
            self.machine,
            dead_letter_queue=self.dead_letters,
            # After that, the next scheduled run is near.
            max_event_age=Duration.hours(1),
        )
        scheduler.Schedule(
            self,
            "Schedule",
            schedule=scheduler.ScheduleExpression.cron(
                # Not at the full hour, when many other schedules start.
                minute="7",
                hour=f"*/{HOURS}",
                time_zone=TimeZone.ETC_UTC,
            ),
            target=target,
        )
