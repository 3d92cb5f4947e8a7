"""The stack of the HTTP API and of the alarms, which all go to one SNS topic."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_rds as rds
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.cdk_nag_exceptions import accept
from infra.database import DatabaseStack
from infra.functions import FunctionsStack, keep_log
from infra.settings import Stage

GIB = 1024**3
FIVE_MINUTES = Duration.minutes(5)
SLOW_MILLISECONDS = 3000
# The least free share of the disk, because enlarging it takes a while.
LOW_STORAGE = 0.2
BUSY_PERCENT = 80
# No request headers: one of them holds the API key.
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "latency": "$context.responseLatency",
}


@dataclass(frozen=True)
class Watched:
    """A metric and the threshold that raises its alarm after `periods` periods in a row.

    If `is_silence_bad`, a period without data counts as a bad one.
    """

    name: str
    metric: cloudwatch.Metric
    threshold: float
    is_above_bad: bool = True
    periods: int = 1
    is_silence_bad: bool = False

    def alarm(self, scope: Construct) -> cloudwatch.Alarm:
        """Return the alarm. docs/operations.md has a section with its name."""
        operator, missing = cloudwatch.ComparisonOperator, cloudwatch.TreatMissingData
        return cloudwatch.Alarm(
            scope,
            self.name,
            metric=self.metric,
            threshold=self.threshold,
            comparison_operator=operator.GREATER_THAN_THRESHOLD
            if self.is_above_bad
            else operator.LESS_THAN_THRESHOLD,
            evaluation_periods=self.periods,
            treat_missing_data=missing.BREACHING if self.is_silence_bad else missing.NOT_BREACHING,
            alarm_description=f"What to do: docs/operations.md#{self.name.lower()}",
        )


class ServiceStack(Stack):
    """The API, the CloudWatch dashboard and the alarms, which are sent by mail."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        stage: Stage,
        database: DatabaseStack,
        functions: FunctionsStack,
    ) -> None:
        super().__init__(scope, name)
        api = self._make_api(stage, functions)
        watched = [*_of_runs(functions), *_of_api(api)]
        if database.instance is not None:
            watched += _of_database(database.instance, stage)
        alarms = [each.alarm(self) for each in watched]
        topic = self._make_topic(stage)
        for alarm in alarms:
            alarm.add_alarm_action(actions.SnsAction(topic))
        graphs = [
            cloudwatch.GraphWidget(title=each.name, left=[each.metric], width=8) for each in watched
        ]
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=f"dora-{stage.name}",
            widgets=[[cloudwatch.AlarmStatusWidget(alarms=alarms, width=24)], graphs],
        )

    def _make_topic(self, stage: Stage) -> sns.Topic:
        topic = sns.Topic(self, "Alarms", enforce_ssl=True)
        if stage.alarm_email:
            topic.add_subscription(subscriptions.EmailSubscription(stage.alarm_email))
        CfnOutput(self, "AlarmTopic", value=topic.topic_arn)
        return topic

    def _make_api(self, stage: Stage, functions: FunctionsStack) -> gateway.HttpApi:
        api = gateway.HttpApi(self, "Api", create_default_stage=False)
        integration = integrations.HttpLambdaIntegration("Function", functions.api)
        reason = "The function checks X-API-Key on every path that is not public."
        # A greedy path variable does not match the empty path, which serves the dashboard.
        for path in ("/", "/{proxy+}"):
            for route in api.add_routes(
                path=path,
                methods=[gateway.HttpMethod.GET, gateway.HttpMethod.HEAD],
                integration=integration,
            ):
                accept(route, {"AwsSolutions-APIG4": reason})
        served = gateway.HttpStage(
            self,
            "Stage",
            http_api=api,
            stage_name="$default",
            auto_deploy=True,
            throttle=gateway.ThrottleSettings(
                rate_limit=stage.api_requests_per_second, burst_limit=stage.api_burst
            ),
        )
        resource = served.node.default_child
        assert isinstance(resource, gateway.CfnStage)
        resource.access_log_settings = gateway.CfnStage.AccessLogSettingsProperty(
            destination_arn=keep_log(self, "AccessLog", stage).log_group_arn,
            format=json.dumps(ACCESS_LOG),
        )
        CfnOutput(self, "Url", value=served.url)
        return api


def _of_runs(functions: FunctionsStack) -> Iterator[Watched]:
    machine, queue = functions.machine, functions.dead_letters
    failed = machine.metric_failed(period=FIVE_MINUTES, statistic="Sum")
    timed_out = machine.metric_timed_out(period=FIVE_MINUTES, statistic="Sum")
    succeeded = machine.metric_succeeded(period=Duration.hours(3), statistic="Sum")
    letters = queue.metric_approximate_number_of_messages_visible(
        period=FIVE_MINUTES, statistic="Maximum"
    )
    yield Watched("RunFailed", failed, 0)
    yield Watched("RunTimedOut", timed_out, 0)
    # Nine hours without a success: two runs in a row have failed.
    yield Watched(
        "NoSuccessfulRun", succeeded, 1, is_above_bad=False, periods=3, is_silence_bad=True
    )
    yield Watched("DeadLetters", letters, 0)


def _of_api(api: gateway.HttpApi) -> Iterator[Watched]:
    errors = api.metric_server_error(period=FIVE_MINUTES, statistic="Sum")
    latency = api.metric_latency(period=FIVE_MINUTES, statistic="p99")
    yield Watched("ApiErrors", errors, 5, periods=2)
    # A single cold start is slow and must not raise the alarm.
    yield Watched("ApiSlow", latency, SLOW_MILLISECONDS, periods=3)


def _of_database(instance: rds.DatabaseInstance, stage: Stage) -> Iterator[Watched]:
    free = instance.metric_free_storage_space(period=FIVE_MINUTES, statistic="Minimum")
    busy = instance.metric_cpu_utilization(period=FIVE_MINUTES, statistic="Average")
    least = LOW_STORAGE * stage.storage_gib * GIB
    yield Watched("DatabaseStorage", free, least, is_above_bad=False)
    yield Watched("DatabaseCpu", busy, BUSY_PERCENT, periods=6)
