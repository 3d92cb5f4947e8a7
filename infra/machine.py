"""The state machine of a run: prepare, ingest until there is no more, transform."""

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.settings import HOURS

ATTEMPTS = 4
FIRST_PAUSE = Duration.seconds(30)


def definition(
    scope: Construct,
    prepare: lambda_.IFunction,
    ingest: lambda_.IFunction,
    transform: lambda_.IFunction,
    dead_letters: sqs.IQueue,
) -> sfn.Chain:
    """The states; what fails for good goes to the queue with its error, and fails the run."""
    failed = sfn.Fail(scope, "Failed", error="RunFailed", cause="see the dead letter queue")
    tell = tasks.SqsSendMessage(
        scope,
        "Tell the dead letter queue",
        queue=dead_letters,
        message_body=sfn.TaskInput.from_object(
            {
                "execution": sfn.JsonPath.execution_id,
                "started_at": sfn.JsonPath.execution_start_time,
                "error": sfn.JsonPath.object_at("$.error"),
            }
        ),
    ).next(failed)

    def step(name: str, function: lambda_.IFunction, payload: dict[str, str], path: str = "$.answer"
    ) -> tasks.LambdaInvoke:
        task = tasks.LambdaInvoke(
            scope,
            name,
            lambda_function=function,
            payload=sfn.TaskInput.from_object(payload),
            payload_response_only=True,
            retry_on_service_exceptions=False,
            # A failed run's error is in the state; a repetition needs no input.
            result_path=path,
        )
        task.add_retry(
            errors=["States.ALL"],
            interval=FIRST_PAUSE,
            max_attempts=ATTEMPTS,
            backoff_rate=2,
            jitter_strategy=sfn.JitterType.FULL,
            max_delay=Duration.minutes(10),
        )
        task.add_catch(tell, errors=["States.ALL"], result_path="$.error")
        return task

    build = step("Transform", transform, {})
    build.next(sfn.Succeed(scope, "Done"))
    read = step("Ingest", ingest, {"action": "ingest"})
    wait = sfn.Wait(
        scope, "Wait for GitHub", time=sfn.WaitTime.timestamp_path("$.answer.resume_at")
    )
    wait.next(read)
    # Past the next schedule, that run goes on: this one shows what has landed.
    is_soon = sfn.Condition.and_(
        sfn.Condition.string_equals("$.answer.status", "wait"),
        sfn.Condition.timestamp_less_than_json_path("$.answer.resume_at", "$.prepared.until"),
    )
    again = sfn.Choice(scope, "Is there more?")
    again.when(sfn.Condition.string_equals("$.answer.status", "continue"), read)
    again.when(is_soon, wait)
    again.otherwise(build)
    read.next(again)
    started = {"started_at": sfn.JsonPath.execution_start_time}
    return step("Prepare", prepare, started, "$.prepared").next(read)


TIMEOUT = Duration.hours(HOURS)
