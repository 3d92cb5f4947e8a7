"""How the made-up company ships: its deployments, their failures and the incidents.

Each repository has its way of shipping, so that every source of `DEPLOYMENTS` and every kind of
deployment occurs. Moments are whole seconds since the epoch, UTC.
"""

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from demo.delivery_model import Deployment, Issue
from demo.github import GitHub
from demo.model import PullRequest, Repository
from demo.organisation import Organisation
from demo.people import OWNER
from demo.pull_request_generator import DAY, HOUR, text

MINUTE = 60
INCIDENT = "incident"
# Repositories with GitHub deployments that match the default pattern of environments.
DEPLOYED = ("payments-api", "ledger", "platform-infra", "data-pipelines", "identity-service")
# What narrows the changes of each service of `storefront-web`.
SERVICES: dict[str, dict[str, list[str]]] = {
    "web": {"labels": ["svc:web"]},
    "admin": {"paths": ["services/admin/**"]},
}
TROUBLES = ("Checkout is slow", "Logins fail", "Wrong totals", "Errors after a deployment", "Queue")


def deployment_rules() -> list[dict[str, Any]]:
    """Return the value of DEPLOYMENTS, before `json.dumps`.

    No rule covers `permissions` and `handbook`; nothing in `warehouse-models` matches its rule.
    """
    return [
        {
            "repositories": [f"{OWNER}/{name}" for name in (*DEPLOYED, "warehouse-models")],
            "source": "deployments",
        },
        *(
            {
                "repositories": f"{OWNER}/storefront-web",
                "target": service,
                "source": "deployments",
                "environment": f"^{service}-prod$",
                **narrowed,
            }
            for service, narrowed in SERVICES.items()
        ),
        {
            "repositories": f"{OWNER}/checkout",
            "source": "workflow",
            "workflow": "deploy.yml",
            "branch": "main",
        },
        {"repositories": f"{OWNER}/ios-app", "source": "releases", "tag": "^v[0-9]"},
        {"repositories": f"{OWNER}/android-app", "source": "tags", "tag": "^release/"},
        {"repositories": f"{OWNER}/deploy-tools", "source": "merges"},
    ]


def incident_rules() -> dict[str, Any]:
    """Return the value of INCIDENTS, before `json.dumps`."""
    return {"labels": [INCIDENT]}


def ship(github: GitHub, organisation: Organisation, seed: int = 7) -> None:
    """Add commits, deployments, releases, tags, workflow runs and incidents to a new GitHub.

    Turns some pull requests into reverts and hotfixes, and gives some to one of the two services.
    """
    special = {
        (record["repository"], record["number"])
        for record in map(organisation.record, organisation.planted)
    }
    end = _moment(organisation.end)
    for repository in github.repositories(OWNER):
        rng = random.Random(f"{seed} {repository.name}")
        merged = [each for each in repository.by_number.values() if each.merged]
        merged.sort(key=lambda each: (each.merged_at, each.number))
        name = repository.name_with_owner
        _mark(github, rng, [each for each in merged if (name, each.number) not in special])
        github.add_commit(repository, repository.created_at, branch=repository.default_branch)
        for each in merged:
            assert each.merged_at is not None
            github.merge_as_commit(each, each.merged_at)
        _Shipper(github, repository, rng, end, merged).ship()


def _moment(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp())


def _mark(github: GitHub, rng: random.Random, merged: list[PullRequest]) -> None:
    """Turn some changes into reverts, reverts of reverts, hotfixes and changes of one service."""
    for number, change in enumerate(merged):
        chance = rng.random()
        reverted = merged[max(0, number - 1 - int(rng.expovariate(0.5)))]
        if change.repository.name == "storefront-web" and rng.random() < 0.8:
            service = rng.choice(list(SERVICES))
            labels = SERVICES[service].get("labels", [])
            github.edit(
                change, None, folder=f"services/{service}", labels=[*change.labels, *labels]
            )
        if chance < 0.03 and reverted is not change:
            _revert(github, change, reverted)
            if rng.random() < 0.3 and number + 1 < len(merged):
                # The revert of the revert is the next change; its own turn may still rename it.
                _revert(github, merged[number + 1], change)
        elif chance > 0.95 and not change.title.startswith("Revert"):
            github.edit(change, None, head_ref_name=f"hotfix/{change.head_ref_name}")


def _revert(github: GitHub, change: PullRequest, reverted: PullRequest) -> None:
    github.edit(
        change,
        None,
        title=f'Revert "{reverted.title}"',
        body=f"Reverts {reverted.repository.name_with_owner}#{reverted.number}",
        head_ref_name=f"revert-{reverted.number}-{reverted.head_ref_name}",
    )


@dataclass(frozen=True)
class _Batch:
    """The content of a deployment: its newest commit and the pull request merged by it."""

    oid: str
    newest: PullRequest


class _Shipper:
    """Ships one repository; the events happen in the order of their moments."""

    def __init__(
        self,
        github: GitHub,
        repository: Repository,
        rng: random.Random,
        end: int,
        merged: list[PullRequest],
    ) -> None:
        self.github, self.repository, self.rng, self.end = github, repository, rng, end
        self.merged = merged
        self._agenda: list[tuple[int, int, Callable[[int], object]]] = []
        self._count = 0

    def ship(self) -> None:
        ways: dict[str, Callable[[], None]] = {
            "payments-api": lambda: self._deploy_daily("production"),
            "ledger": lambda: self._deploy_daily("production-eu", "production-us"),
            "platform-infra": lambda: self._deploy_each("prod"),
            "data-pipelines": lambda: self._deploy_daily("live"),
            "identity-service": lambda: self._deploy_each("production"),
            "storefront-web": self._deploy_services,
            "checkout": self._run_workflow,
            "ios-app": self._release,
            "android-app": self._tag,
            "warehouse-models": lambda: self._deploy_daily("staging"),
        }
        ways.get(self.repository.name, lambda: None)()
        self._report_trouble_elsewhere()
        while self._agenda:
            moment, _, act = heapq.heappop(self._agenda)
            if moment < self.end:
                act(moment)

    def _at(self, moment: int, act: Callable[[int], object]) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (moment, self._count, act))

    def _trains(self, every_days: int, hour: int) -> Iterator[tuple[int, _Batch]]:
        """Yield the moments at which new changes ship, at that hour (UTC) of working days."""
        if not self.merged:
            return
        moments = [_moment(str(change.merged_at)) for change in self.merged]
        moment = moments[0] - moments[0] % DAY + hour * HOUR
        shipped = taken = 0
        while moment < self.end:
            while taken < len(moments) and moments[taken] < moment:
                taken += 1
            # The epoch began on a Thursday.
            is_working_day = (moment // DAY + 3) % 7 < 5
            if is_working_day and taken > shipped:
                yield moment + self.rng.randrange(40 * MINUTE), self._batch(taken - 1)
                shipped = taken
            moment += every_days * DAY if is_working_day else DAY

    def _batch(self, number: int) -> _Batch:
        change = self.merged[number]
        assert change.merge_commit_oid is not None
        return _Batch(change.merge_commit_oid, change)

    def _deploy_daily(self, environment: str, second: str | None = None) -> None:
        """A deployment on every working day; the second region follows within the hour."""
        before: _Batch | None = None
        for moment, batch in self._trains(1, 13):
            self._at(moment, self._deployment(batch, before, environment))
            if second is not None:
                later = moment + self.rng.randrange(30 * MINUTE, HOUR)
                self._at(later, self._deployment(batch, None, second))
            before = batch

    def _deploy_each(self, environment: str) -> None:
        """A deployment right after each merge: on busy days one can overtake the previous one."""
        before: _Batch | None = None
        for number, change in enumerate(self.merged):
            batch = self._batch(number)
            moment = _moment(str(change.merged_at)) + self.rng.randrange(MINUTE, 5 * MINUTE)
            self._at(moment, self._deployment(batch, before, environment))
            before = batch

    def _deploy_services(self) -> None:
        for hour, service in zip((10, 15), SERVICES, strict=True):
            before: _Batch | None = None
            for moment, batch in self._trains(1, hour):
                self._at(moment, self._deployment(batch, before, f"{service}-prod"))
                before = batch

    def _deployment(
        self, batch: _Batch, before: _Batch | None, environment: str
    ) -> Callable[[int], None]:
        """Return the action of CI for a batch: a deployment with statuses, sometimes repeated."""

        def create(moment: int) -> None:
            deployment = self.github.deploy(
                self.repository, text(moment), batch.oid, environment, ref_name="main"
            )
            chance = self.rng.random()
            if chance < 0.05:
                self._state(deployment, moment + 9 * MINUTE, "FAILURE")
                self._at(moment + 40 * MINUTE, self._deployment(batch, before, environment))
                return
            # Some wait for an approval.
            waits = chance < 0.08
            self._state(deployment, moment + 20, "WAITING" if waits else "QUEUED")
            wait = self.rng.randrange(4 * HOUR, 60 * HOUR) if waits else MINUTE
            self._state(deployment, moment + wait, "IN_PROGRESS")
            done = moment + wait + self.rng.randrange(4 * MINUTE, 25 * MINUTE)
            self._state(deployment, done, "SUCCESS")
            if chance > 0.995:
                self._state(deployment, done + 20 * MINUTE, "ERROR")
            elif chance > 0.95 and before is not None:
                self._go_wrong(done, batch, before, environment)

        return create

    def _state(self, deployment: Deployment, moment: int, state: str) -> None:
        self._at(moment, lambda at: self.github.add_status(deployment, text(at), state))

    def _go_wrong(self, moment: int, batch: _Batch, before: _Batch, environment: str) -> None:
        """An incident, a rollback to the previous batch, or both."""
        chance = self.rng.random()
        if chance < 0.7:
            opened = moment + self.rng.randrange(5 * MINUTE, 3 * HOUR)
            self._at(opened, lambda at: self._open_incident(at, environment))
        if chance > 0.4:
            back = moment + self.rng.randrange(20 * MINUTE, 2 * HOUR)
            self._at(back, self._deployment(before, None, environment))

    def _open_incident(self, moment: int, environment: str) -> None:
        rng = self.rng
        body = ""
        if rng.random() < 0.3:
            body = f"Started: {text(moment - rng.randrange(MINUTE, 5 * MINUTE))}"
        if environment.removesuffix("-prod") in SERVICES:
            body = f"{body}\nService: {environment.removesuffix('-prod')}".strip()
        title = rng.choice(TROUBLES)
        labels = [INCIDENT, rng.choice(("sev1", "sev2", "sev3"))]
        issue = self.github.open_issue(
            self.repository, text(moment), labels, title=title, body=body
        )
        fix = next((each for each in self.merged if str(each.merged_at) > text(moment)), None)
        if fix is not None and rng.random() < 0.5:
            self._at(
                _moment(str(fix.merged_at)),
                lambda at: self.github.close_issue(issue, text(at), closer=fix),
            )
        elif rng.random() < 0.95:
            self._close(issue, moment + rng.randrange(30 * MINUTE, 9 * HOUR))

    def _close(self, issue: Issue, moment: int, reason: str = "COMPLETED") -> None:
        self._at(moment, lambda at: self.github.close_issue(issue, text(at), reason))

    def _report_trouble_elsewhere(self) -> None:
        """Incidents that no deployment caused, false alarms, and one that loses its label."""
        if not self.merged:
            return
        start = _moment(str(self.merged[0].merged_at))
        kinds = ("provider", "false_alarm", "unlabelled")
        moments = sorted(self.rng.randrange(start, self.end) for _ in kinds)
        for kind, moment in zip(kinds, moments, strict=True):
            self._at(moment, partial(self._report, kind=kind))

    def _report(self, moment: int, kind: str) -> None:
        title = "The card provider is down" if kind == "provider" else "Alarm at night"
        body = "Caused by: none" if kind == "provider" else ""
        issue = self.github.open_issue(
            self.repository, text(moment), [INCIDENT], title=title, body=body
        )
        if kind == "unlabelled":
            self._at(moment + HOUR, lambda at: self.github.edit_issue(issue, text(at), labels=[]))
        reason = "NOT_PLANNED" if kind == "false_alarm" else "COMPLETED"
        self._close(issue, moment + 2 * HOUR, reason)

    def _run_workflow(self) -> None:
        """A workflow run for each batch; one in ten only succeeds at its second attempt."""
        workflow = self.github.add_workflow(
            self.repository, "Deploy", ".github/workflows/deploy.yml"
        )
        self.github.add_workflow(self.repository, "CI", ".github/workflows/ci.yml")

        def start(moment: int, batch: _Batch) -> None:
            run = self.github.start_run(workflow, text(moment), batch.oid)
            done = moment + self.rng.randrange(4 * MINUTE, 20 * MINUTE)
            if self.rng.random() > 0.1:
                self._at(done, lambda at: self.github.end_run(run, text(at)))
                return
            self._at(done, lambda at: self.github.end_run(run, text(at), "failure"))
            self._at(done + HOUR, lambda at: self.github.rerun(run, text(at)))
            self._at(done + 2 * HOUR, lambda at: self.github.end_run(run, text(at)))

        for moment, batch in self._trains(1, 9):
            self._at(moment, partial(start, batch=batch))

    def _release(self) -> None:
        """A release a week from a draft; one in six gets a patch release, one in ten is a beta."""

        def draft(moment: int, number: int, batch: _Batch) -> None:
            name = f"v{number}.0"
            self.github.tag(self.repository, name, batch.oid, text(moment))
            is_beta = self.rng.random() < 0.1
            release = self.github.draft_release(
                self.repository, text(moment), name, is_prerelease=is_beta
            )
            published = moment + self.rng.randrange(HOUR, 30 * HOUR)
            self._at(published, lambda at: self.github.publish(release, text(at)))
            if self.rng.random() < 0.17:
                self._at(published + 20 * HOUR, lambda at: patch(at, number, batch))

        def patch(moment: int, number: int, batch: _Batch) -> None:
            fix = self.github.add_commit(self.repository, text(moment), batch.oid)
            name = f"v{number}.1"
            self.github.tag(self.repository, name, fix.oid, text(moment))
            release = self.github.draft_release(self.repository, text(moment), name)
            self.github.publish(release, text(moment))

        for number, (moment, batch) in enumerate(self._trains(7, 11), 1):
            self._at(moment, partial(draft, number=number, batch=batch))

    def _tag(self) -> None:
        """A tag a week: two of three are annotated, the others are lightweight and have no date."""

        def tag(moment: int, number: int, batch: _Batch) -> None:
            tagged_at = text(moment) if number % 3 else None
            self.github.tag(self.repository, f"release/{number}", batch.oid, tagged_at)

        for number, (moment, batch) in enumerate(self._trains(7, 12), 1):
            self._at(moment, partial(tag, number=number, batch=batch))
