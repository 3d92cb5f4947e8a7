"""The stack of the HTTP API, and of the alarms that go to one topic."""

import json

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.database import DatabaseStack
from infra.functions import FunctionsStack, retention
from infra.nag import accept
from infra.settings import Stage

GIB = 1024**3
# Nothing of a request's headers: an API key is in one.
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "latency": "$context.responseLatency",
}
# Title, metric, threshold, whether more or less of it is bad, whether silence is.
Watched = tuple[str, cloudwatch.Metric, float, cloudwatch.ComparisonOperator, bool]
ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD


class ServiceStack(Stack):
    """What people see: the API, the dashboard of CloudWatch, and mail when something is wrong."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        stage: Stage,
        database: DatabaseStack,
        functions: FunctionsStack,
    ) -> None:
        super().__init__(scope, name)
        self._stage, self._database, self._functions = stage, database, functions
        self._api = self._make_api()
        self._topic = sns.Topic(self, "Alarms", enforce_ssl=True)
        if stage.alarm_email:
            self._topic.add_subscription(subscriptions.EmailSubscription(stage.alarm_email))
        watched = self._watched()
        alarms = [self._alarm(*each) for each in watched]
        graphs = [
            cloudwatch.GraphWidget(title=title, left=[metric], width=8)
            for title, metric, *_ in watched
        ]
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=f"dora-metrics-{stage.name}",
            widgets=[[cloudwatch.AlarmStatusWidget(alarms=alarms, width=24)], graphs],
        )

    def _watched(self) -> list[Watched]:
        five, hour = Duration.minutes(5), Duration.hours(1)
        machine, queue = self._functions.machine, self._functions.dead_letters
        succeeded = machine.metric_succeeded(period=Duration.hours(3), statistic="Sum")
        letters = queue.metric_approximate_number_of_messages_visible(period=five)
        found = [
            ("RunFailed", machine.metric_failed(period=five, statistic="Sum"), 0, ABOVE, False),
            ("RunTimedOut", machine.metric_timed_out(period=five, statistic="Sum"), 0, ABOVE, False),
            ("NoSuccessfulRun", succeeded, 1, BELOW, True),
            ("DeadLetters", letters, 0, ABOVE, False),
            ("ApiErrors", self._api.metric_server_error(period=five, statistic="Sum"), 5, ABOVE, False),
            ("ApiSlow", self._api.metric_latency(period=five, statistic="p99"), 3000, ABOVE, False),
        ]
        if (instance := self._database.instance) is not None:
            low = 0.2 * self._stage.storage_gib * GIB
            free = instance.metric_free_storage_space(period=hour, statistic="Minimum")
            found += [
                ("DatabaseStorage", free, low, BELOW, False),
                ("DatabaseCpu", instance.metric_cpu_utilization(period=five), 80, ABOVE, False),
            ]
        return found

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.Metric,
        threshold: float,
        operator: cloudwatch.ComparisonOperator,
        is_silence_bad: bool,
    ) -> cloudwatch.Alarm:
        # Three periods of three hours without a success are nine hours.
        periods = {"NoSuccessfulRun": 3, "ApiErrors": 2, "ApiSlow": 3, "DatabaseCpu": 6}
        alarm = cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            threshold=threshold,
            comparison_operator=operator,
            evaluation_periods=periods.get(name, 1),
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING
            if is_silence_bad
            else cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"docs/operations.md#{name.lower()}",
        )
        alarm.add_alarm_action(actions.SnsAction(self._topic))
        return alarm

    def _make_api(self) -> gateway.HttpApi:
        stage = self._stage
        api = gateway.HttpApi(self, "Api", create_default_stage=False)
        routes = api.add_routes(
            path="/{proxy+}",
            methods=[gateway.HttpMethod.GET],
            integration=integrations.HttpLambdaIntegration("Function", self._functions.api),
        )
        log = logs.LogGroup(self, "AccessLog", retention=retention(stage))
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
            destination_arn=log.log_group_arn, format=json.dumps(ACCESS_LOG)
        )
        CfnOutput(self, "Url", value=served.url)
        for route in routes:
            accept(
                route,
                {"AwsSolutions-APIG4": "The function checks X-API-Key, but for /health."},
            )
        return api
