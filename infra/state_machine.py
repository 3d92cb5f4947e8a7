"""The state machine of a run: prepare, ingest until it is complete, transform."""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.settings import BUSY_MINUTES, FIRST_PAUSE, HOURS, LONGEST_WAIT, RETRIES

TIMEOUT = Duration.hours(HOURS)
LONGEST_PAUSE = Duration.minutes(10)
# Another run, started by hand, is using the function, for at most 15 minutes.
BUSY = "Lambda.TooManyRequestsException"
# A person has to fix it first: a refused token, an invalid team configuration.
HOPELESS = "ConfigurationError"


class Steps(Construct):
    """The states. A permanent failure is sent to the queue with its error and fails the run."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        prepare: lambda_.IFunction,
        ingest: lambda_.IFunction,
        transform: lambda_.IFunction,
        dead_letters: sqs.IQueue,
    ) -> None:
        super().__init__(scope, name)
        self._failed = self._tell(dead_letters)
        started = {
            "started_at": sfn.JsonPath.execution_start_time,
            "seconds": LONGEST_WAIT.total_seconds(),
        }
        self.start = self._step("Prepare", prepare, started, "$.prepared")
        read = self._step("Ingest", ingest, {"action": "ingest"}, "$.read")
        build = self._step("Transform", transform, {}, "$.built")
        self.start.next(read)
        read.next(self._whether_again(read, build))
        build.next(sfn.Succeed(self, "Done"))

    def _step(
        self, name: str, function: lambda_.IFunction, event: Mapping[str, object], path: str
    ) -> tasks.LambdaInvoke:
        task = tasks.LambdaInvoke(
            self,
            name,
            lambda_function=function,
            payload=sfn.TaskInput.from_object(dict(event)),
            payload_response_only=True,
            retry_on_service_exceptions=False,
            result_path=path,
        )
        task.add_retry(errors=[HOPELESS], max_attempts=0)
        task.add_retry(
            errors=[BUSY], interval=Duration.minutes(1), max_attempts=BUSY_MINUTES, backoff_rate=1
        )
        task.add_retry(
            errors=["States.ALL"],
            interval=Duration.seconds(FIRST_PAUSE.total_seconds()),
            max_attempts=RETRIES,
            backoff_rate=2,
            jitter_strategy=sfn.JitterType.FULL,
            max_delay=LONGEST_PAUSE,
        )
        task.add_catch(self._failed, errors=["States.ALL"], result_path="$.error")
        return task

    def _whether_again(self, read: tasks.LambdaInvoke, build: tasks.LambdaInvoke) -> sfn.Choice:
        wait = sfn.Wait(
            self, "Wait for GitHub", time=sfn.WaitTime.timestamp_path("$.read.resume_at")
        )
        wait.next(read)

        def is_status(status: str, instant: str) -> sfn.Condition:
            """Whether the ingest returned this status, and `instant` is within the time limit."""
            return sfn.Condition.and_(
                sfn.Condition.string_equals("$.read.status", status),
                sfn.Condition.timestamp_less_than_json_path(instant, "$.prepared.until"),
            )

        again = sfn.Choice(self, "Is there more?")
        again.when(is_status("continue", "$.read.ended_at"), read)
        again.when(is_status("wait", "$.read.resume_at"), wait)
        # Either it is complete, or the next run continues it.
        again.otherwise(build)
        return again

    def _tell(self, dead_letters: sqs.IQueue) -> sfn.IChainable:
        letter = {
            "execution": sfn.JsonPath.execution_id,
            "started_at": sfn.JsonPath.execution_start_time,
            "error": sfn.JsonPath.object_at("$.error"),
        }
        told = tasks.SqsSendMessage(
            self,
            "Tell the dead letter queue",
            queue=dead_letters,
            message_body=sfn.TaskInput.from_object(letter),
        )
        return told.next(
            sfn.Fail(self, "Failed", error="RunFailed", cause="see the dead letter queue")
        )
