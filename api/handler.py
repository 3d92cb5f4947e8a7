"""The API as a Lambda function behind an API Gateway HTTP API."""

import asyncio
from http import HTTPStatus
from typing import Any

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from mangum.types import LambdaContext, LambdaEvent
from starlette.types import ASGIApp, Receive, Scope, Send

from api.app import app
from api.problems import MEDIA_TYPE


class BehindStage:
    """Lets an app also answer below the path of a named stage.

    A named stage is the first segment of the event's path; `$default` is not part of the path.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-stages.html
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = scope.get("aws.event", {}).get("requestContext", {})
        prefix = f"/{context.get('stage', '$default')}"
        if scope["path"] == prefix or scope["path"].startswith(f"{prefix}/"):
            scope = {**scope, "root_path": prefix}
        await self._app(scope, receive, send)


# Responses with these statuses have no body, and so no content type.
_WITHOUT_CONTENT = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED, HTTPStatus.TEMPORARY_REDIRECT}


class _Handler(Mangum):
    def __call__(self, event: LambdaEvent, context: LambdaContext) -> dict[str, Any]:
        # Mangum expects an event loop on the thread; `asyncio.run` leaves none behind.
        try:
            asyncio.get_event_loop()
        except RuntimeError:
            asyncio.set_event_loop(asyncio.new_event_loop())
        answer = super().__call__(event, context)
        if answer["statusCode"] in _WITHOUT_CONTENT:
            # Mangum adds a content type to responses without one.
            answer["headers"].pop("content-type", None)
        return answer


handler = _Handler(
    BehindStage(app),
    lifespan="off",
    text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, MEDIA_TYPE],
)
