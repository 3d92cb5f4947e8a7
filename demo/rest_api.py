"""The part of GitHub's REST API that the product reads: workflows and their runs.

https://docs.github.com/en/rest/actions/workflow-runs
"""

import functools
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from demo.delivery_model import Attempt, Workflow, WorkflowRun
from demo.github import GitHub
from demo.model import Repository, node_id

Answer = dict[str, Any]
NOT_FOUND: tuple[int, Answer] = (404, {"message": "Not Found", "status": "404"})
FORBIDDEN: tuple[int, Answer] = (
    403,
    {"message": "Resource not accessible by personal access token", "status": "403"},
)
_PLACE = re.compile(r"(?:/api/v3)?/repos/([^/]+/[^/]+)/actions/(.+)")
# `GitHub.hidden_fields` contains this if the token may not read runs.
HIDDEN = "Actions"


def answer_get(github: GitHub, path: str) -> tuple[int, Answer]:
    """Return the status and body for a GET."""
    address = urlsplit(path)
    query = {name: values[-1] for name, values in parse_qs(address.query).items()}
    found = _PLACE.fullmatch(address.path)
    repository = github.find_repository(found[1]) if found else None
    if found is None or repository is None or repository.blocked is not None:
        return NOT_FOUND
    if HIDDEN in github.hidden_fields:
        return FORBIDDEN
    with github.lock:
        return _answer(repository, found[2], query)


def _answer(repository: Repository, rest: str, query: dict[str, str]) -> tuple[int, Answer]:
    def cut(name: str, items: list[Any], show: Callable[[Any], Answer]) -> tuple[int, Answer]:
        length, number = int(query.get("per_page", 30)), int(query.get("page", 1))
        page = items[(number - 1) * length : number * length]
        return 200, {"total_count": len(items), name: [show(item) for item in page]}

    if rest == "workflows":
        return cut("workflows", repository.workflows, lambda each: _workflow(each))
    if of := re.fullmatch(r"workflows/(\d+)/runs", rest):
        for workflow in repository.workflows:
            if workflow.id == int(of[1]):
                runs = sorted(workflow.runs, key=lambda run: (run.created_at, run.id), reverse=True)
                return cut("workflow_runs", runs, functools.partial(_run, repository, workflow))
        return NOT_FOUND
    return _single(repository, rest)


def _single(repository: Repository, rest: str) -> tuple[int, Answer]:
    if of := re.fullmatch(r"runs/(\d+)(?:/attempts/(\d+))?", rest):
        for workflow in repository.workflows:
            for run in workflow.runs:
                number = int(of[2] or len(run.attempts))
                if run.id == int(of[1]) and 1 <= number <= len(run.attempts):
                    return 200, _run(repository, workflow, run, number)
    return NOT_FOUND


def _workflow(workflow: Workflow) -> Answer:
    return {"id": workflow.id, "name": workflow.name, "path": workflow.path, "state": "active"}


def _run(
    repository: Repository, workflow: Workflow, run: WorkflowRun, number: int | None = None
) -> Answer:
    attempt: Attempt = run.attempts[(number or len(run.attempts)) - 1]
    return {
        "id": run.id,
        "node_id": node_id("WFR", repository.id, run.id),
        "name": workflow.name,
        "path": workflow.path,
        "workflow_id": workflow.id,
        "head_branch": run.head_branch,
        "head_sha": run.head_sha,
        "event": run.event,
        "status": "completed" if attempt.conclusion else "in_progress",
        "conclusion": attempt.conclusion,
        "run_attempt": number or len(run.attempts),
        "created_at": run.created_at,
        "run_started_at": attempt.started_at,
        "updated_at": attempt.updated_at,
        "html_url": f"{repository.url}/actions/runs/{run.id}",
    }
