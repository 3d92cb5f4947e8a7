"""Random worlds with every event of docs/delivery.md, in a plausible order.

A world depends only on a sequence of choices. hypothesis makes them for `worlds()`, which can
shrink; `random_world(seed, steps)` makes larger ones. Instants lie on a coarse grid, so that
merges, deployments, ends of windows and of the failure window often coincide.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from .coverage import Coverage
from .delivery import (
    CAUSES,
    Attempt,
    Commit,
    GitHubDeployment,
    Incident,
    IncidentRule,
    Issue,
    PullRequest,
    Release,
    Rule,
    Status,
    Tag,
    WorkflowRun,
    World,
)

Choose = Callable[[Sequence[Any]], Any]

SHOP, MONO, LIB, DOCS = "acme/shop", "acme/mono", "acme/lib", "acme/docs"
START = datetime(2026, 1, 5, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STEPS = (timedelta(), MINUTE, 17 * MINUTE, HOUR, HOUR, 5 * HOUR, DAY, 3 * DAY, 7 * DAY)
DELAYS = (timedelta(), MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, 2 * DAY)
# Instants at which membership windows begin and end.
KEYS = tuple(START + days * DAY for days in (-30, 0, 1, 7, 14, 21))
WEIGHTS = ("0.00", "0.30", "0.33", "0.50", "1.00")
AUTHORS = ("Ada", "Ada", "Bob", "Bob", "Cleo", "Eve", "deps[bot]")
SERVICES = (
    Rule(repositories=(MONO,), target="api", environment="^api-prod$", labels=("svc:api",)),
    Rule(repositories=(MONO,), target="web", environment="^web-prod$", paths=("web/*",)),
    Rule(repositories=(MONO,), target="all", environment="^(api|web)-prod$"),
)
LIBRARY = (
    Rule(repositories=(LIB,), source="releases", tag="^v"),
    Rule(repositories=(LIB,), source="tags", tag="^v"),
    Rule(repositories=(LIB,), source="workflow", workflow="Deploy"),
    Rule(repositories=(LIB,), source="merges"),
)
ENVIRONMENTS = {
    SHOP: ("production", "production", "prod-us", "staging"),
    MONO: ("api-prod", "web-prod"),
}


@st.composite
def worlds(draw: st.DrawFn, steps: int = 30) -> World:
    """Draw a world with at most this many steps."""
    return tell(lambda options: draw(st.sampled_from(options)), draw(st.integers(0, steps)))


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the settings of a build."""
    return {
        "reporting_timezone": draw(st.sampled_from(["UTC", "Europe/Berlin"])),
        "attribution_instant": draw(st.sampled_from(["merged_at", "created_at"])),
        "failure_window_days": draw(st.sampled_from([7, 1])),
        "failure_causes": draw(st.sets(st.sampled_from(CAUSES), min_size=1) | st.just(set(CAUSES))),
    }


def random_world(seed: int, steps: int = 300) -> World:
    """Return the same world for the same seed."""
    return tell(random.Random(seed).choice, steps)


def tell(choose: Choose, steps: int) -> World:
    story = Story(choose)
    for _ in range(steps):
        story.now += choose(STEPS)
        choose((story.merge,) * 5 + (story.deploy,) * 4 + (story.break_down, story.deploy_head))()
    return story.world()


def sha(name: str) -> str:
    return sha1(name.encode(), usedforsecurity=False).hexdigest()


@dataclass
class Story:
    """The events so far. `tips` maps (repository, branch) to its last commit."""

    choose: Choose
    now: datetime = START
    commits: list[Commit] = field(default_factory=list)
    tips: dict[tuple[str, str], str] = field(default_factory=dict)
    pull_requests: list[PullRequest] = field(default_factory=list)
    waiting: list[tuple[str, str]] = field(default_factory=list)
    deployments: list[GitHubDeployment] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    runs: list[WorkflowRun] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)

    def __post_init__(self) -> None:
        for repository in (SHOP, MONO, LIB, DOCS):
            self.tips[repository, "main"] = self.commit(repository)

    def commit(self, repository: str, *parents: str) -> str:
        name = sha(f"commit {len(self.commits)}")
        made = Commit(repository=repository, sha=name, parents=parents, committed_at=self.now)
        self.commits.append(made)
        return name

    def branch(self, repository: str) -> str:
        """Choose a branch to merge into; a new one starts at some commit."""
        name: str = self.choose(("main",) * 6 + ("v1", "feature"))
        if (repository, name) not in self.tips:
            begun = [one.sha for one in self.commits if one.repository == repository]
            self.tips[repository, name] = self.choose(begun)
        return name

    # Merges

    def merge(self) -> None:
        repository = self.choose((SHOP, SHOP, SHOP, MONO, MONO, LIB, DOCS))
        waiting = [head for name, head in self.waiting if name == repository]
        base, head = self.branch(repository), sha(f"head {len(self.pull_requests)}")
        head_ref = f"topic-{len(self.pull_requests)}"
        if waiting and self.choose((True, False)):
            head = waiting[0]
            self.waiting.remove((repository, head))
        before = self.tips[repository, base]
        how = self.choose(("squash",) * 4 + ("merge", "merge", "branch", "rewritten", "none"))
        merged: str | None = sha(f"gone {len(self.pull_requests)}")
        if how == "merge" and all(one.sha != head for one in self.commits):
            head = self.commit(repository, before)
        feature = self.tips.get((repository, "feature"))
        if how == "branch" and base != "feature" and feature is not None:
            head, head_ref, how = feature, "feature", "merge"
        if how == "merge":
            merged = self.tips[repository, base] = self.commit(repository, before, head)
        elif how in ("squash", "branch"):
            merged = self.tips[repository, base] = self.commit(repository, before)
        elif how == "none":
            merged = None
        self.open(repository, base, head, merged, head_ref)

    def open(
        self, repository: str, base: str, head: str, merged: str | None, head_ref: str
    ) -> None:
        """Add a pull request; most are merged now."""
        number = len(self.pull_requests) + 1
        created_at = self.now - self.choose(DELAYS)
        author = self.choose(AUTHORS)
        made = PullRequest(
            id=f"PR_{number:04}",
            repository=repository,
            number=number,
            author=author,
            author_id=f"U_{author}",
            author_type="Bot" if author.endswith("[bot]") else "User",
            created_at=created_at,
            first_commit_at=self.choose((None, created_at - HOUR, created_at - 3 * DAY)),
            merged_at=self.now,
            merge_commit_sha=merged,
            head_sha=head,
            base_ref=base,
            head_ref=head_ref,
            title=f"Change {number}",
            labels=self.choose(((), (), ("svc:api",), ("svc:web",), ("SVC:API", "bug"))),
            paths=self.choose(
                ((), ("web/a.ts",), ("Web/a.ts",), ("api/b.py", "web/c.ts"), ("webs/d.ts",), None)
            ),
            is_vanished=self.choose((False,) * 19 + (True,)),
        )
        kind = self.choose(("change",) * 6 + ("revert", "revert", "hotfix", "open"))
        if kind == "revert":
            made = self.reverting(made)
        elif kind == "hotfix":
            more: dict[str, Any] = self.choose(({"head_ref": "hotfix/x"}, {"labels": ("Hotfix",)}))
            made = replace(made, **more)
        elif kind == "open" and merged is None:
            made = replace(made, merged_at=None)
        self.pull_requests.append(made)

    def reverting(self, made: PullRequest) -> PullRequest:
        """Make a pull request revert a recent one of its repository, stated in a random way."""
        others = [one for one in self.pull_requests if one.repository == made.repository]
        if not others:
            return made
        other = self.choose(others[-3:])
        more: dict[str, Any] = self.choose(
            (
                {"title": f'Revert "{other.title}"', "body": f"Reverts #{other.number}"},
                {"head_ref": f"revert-{other.number}-{other.head_ref}"},
                {"body": f"This reverts commit {other.merge_commit_sha}."},
                {"title": f'Revert "{other.title}"'},
                {"title": f'Reapply "{other.title}"'},
            )
        )
        return replace(made, **more)

    # Deployments

    def deploy(self) -> None:
        repository = self.choose((SHOP, SHOP, SHOP, MONO, MONO, LIB))
        of = self.choose_commit(repository)
        if repository == LIB:
            self.release(of)
        else:
            self.deploy_to(repository, of)

    def choose_commit(self, repository: str) -> str:
        """Choose the tip of a branch, a commit that ran before, any other or an unknown one."""
        ran = [one.commit_sha for one in self.deployments if one.repository == repository]
        known = [one.sha for one in self.commits if one.repository == repository]
        tips = [tip for (name, _), tip in self.tips.items() if name == repository]
        pools: list[Sequence[str | None]] = [[self.tips[repository, "main"]]] * 6
        pools += [tips, ran[-1:], ran[-3:], ran[-3:], known, known[-5:]]
        pools += [[sha(f"fork {len(self.deployments)}")]]
        chosen: str = self.choose([one for one in self.choose(pools) if one] or known)
        return chosen

    def deploy_head(self) -> None:
        """Deploy a branch of the shop before it is merged."""
        head = self.commit(SHOP, self.tips[SHOP, "main"])
        self.waiting.append((SHOP, head))
        self.deploy_to(SHOP, head)

    def deploy_to(self, repository: str, of: str) -> None:
        number = len(self.deployments) + 1
        succeeded_at = self.now + self.choose(DELAYS)
        states = self.choose(
            (("success",),) * 6
            + (
                ("failure",),
                ("success", "inactive"),
                ("failure", "success"),
                ("success", "failure"),
                ("success", "error", "success"),
            )
        )
        statuses = []
        for state in states:
            statuses.append(Status(state=state, created_at=succeeded_at))
            succeeded_at += self.choose((MINUTE, HOUR, DAY, 7 * DAY))
        self.deployments.append(
            GitHubDeployment(
                id=f"D_{number:04}",
                repository=repository,
                environment=self.choose(ENVIRONMENTS[repository]),
                commit_sha=of,
                created_at=self.now,
                statuses=tuple(statuses),
            )
        )

    def release(self, of: str) -> None:
        """Release the library from every source; its rule decides which one counts."""
        number = len(self.tags) + 1
        name = f"{self.choose(('v', 'v', 'x'))}{number}"
        published_at = self.choose((self.now, self.now, self.now + DAY, None))
        self.tags.append(
            Tag(
                id=f"T_{number:04}",
                repository=LIB,
                name=name,
                commit_sha=of,
                tagged_at=self.choose((self.now, None)),
            )
        )
        self.releases.append(
            Release(
                id=f"RE_{number:04}",
                repository=LIB,
                tag=name,
                commit_sha=of,
                published_at=published_at,
                is_draft=published_at is None,
                is_prerelease=self.choose((False, False, True)),
            )
        )
        conclusions = self.choose((("success",), ("failure",), ("failure", "success", "success")))
        self.runs.append(
            WorkflowRun(
                id=f"{number:04}",
                repository=LIB,
                workflow=self.choose(("Deploy", "Deploy", "Test")),
                path=".github/workflows/deploy.yml",
                branch=self.choose(("main", "main", "v1")),
                head_sha=of,
                attempts=tuple(
                    Attempt(
                        number=attempt,
                        conclusion=conclusion,
                        run_started_at=self.now + attempt * HOUR,
                        ended_at=self.now + attempt * HOUR + self.choose(DELAYS),
                    )
                    for attempt, conclusion in enumerate(conclusions, 1)
                ),
            )
        )

    # Incidents

    def break_down(self) -> None:
        started_at = self.now - self.choose((timedelta(), MINUTE, DAY))
        resolved_at = self.choose((None, self.now + HOUR, self.now + 2 * DAY))
        repository = self.choose((SHOP, SHOP, MONO, LIB, DOCS))
        latest = len(self.pull_requests)
        fix = self.choose((None, *range(max(latest - 2, 1), latest + 4)))
        fixed_by = None if fix is None else f"{repository}#{fix}"
        number = len(self.issues) + len(self.incidents) + 1
        if self.choose((True, False)):
            self.issues.append(
                Issue(
                    id=f"I_{number:04}",
                    repository=repository,
                    number=10_000 + number,
                    title="Down",
                    labels=self.choose((("incident",), ("Incident", "bug"), ("bug",))),
                    created_at=self.now,
                    closed_at=resolved_at,
                    closed_by=fixed_by if resolved_at else None,
                    state_reason=self.choose(("completed",) * 4 + ("not_planned",))
                    if resolved_at
                    else None,
                    body=self.choose(
                        (
                            "",
                            f"Started: {started_at.isoformat()}",
                            "Service: api",
                            "Service: web\nCaused by: #1",
                            f"Service: {SHOP}\nCaused by: #{latest}",
                        )
                    ),
                )
            )
            return
        names = self.names(repository)
        self.incidents.append(
            Incident(
                source="file",
                id=f"F_{number:04}",
                started_at=started_at,
                resolved_at=resolved_at,
                repository=self.choose((repository, repository, None)),
                target=self.choose((None, "api", "web")) if repository == MONO else None,
                caused_by_change=self.choose((None, None, None, True, False)),
                fixed_by=self.choose((fixed_by, fixed_by, self.tips[repository, "main"])),
                **names,
            )
        )

    def names(self, repository: str) -> dict[str, Any]:
        """Choose the names in an incident: often none, sometimes several."""
        deployment = self.deployments[-1] if self.deployments else None
        number = self.choose(range(1, len(self.pull_requests) + 2))
        name = None if deployment is None else deployment.id
        commit = None if deployment is None else deployment.commit_sha
        found: dict[str, Any] = self.choose(
            (
                {},
                {},
                {},
                {"deployment_id": name},
                {"commit_sha": commit},
                {"pull_request": f"{repository}#{number}"},
                {"deployment_id": name, "pull_request": f"{repository}#{number}"},
            )
        )
        return found

    # The world

    def world(self) -> World:
        choose = self.choose
        as_of = self.now + choose((timedelta(), -3 * DAY, HOUR, 10 * DAY))
        begun_at = choose((None, None, START + 7 * DAY))
        covered = Coverage(covered_from=begun_at, covered_to=as_of)
        rules = (Rule(repositories=(SHOP,)), *SERVICES[: choose((2, 3))], choose(LIBRARY))
        late = {"deployments": Coverage(covered_to=as_of - DAY)}
        exclusions = ({"title": "Change *7", "reason": "by title"},)
        return World(
            repositories={name: "main" for name in (SHOP, MONO, LIB, DOCS)},
            teams=tuple(self.team(name) for name in ("core", "web")),
            pull_requests=tuple(self.pull_requests),
            commits=tuple(self.commits),
            deployments=tuple(self.deployments),
            releases=tuple(self.releases),
            tags=tuple(self.tags),
            workflow_runs=tuple(self.runs),
            issues=tuple(self.issues),
            incidents=tuple(self.incidents),
            rules=rules,
            incident_rule=choose((IncidentRule(labels=("incident",)),) * 3 + (None,)),
            coverage={name: covered for name in (SHOP, MONO, LIB, DOCS)},
            delivery_coverage=choose(({}, late)),
            exclusions=choose(((), exclusions)),
        )

    def team(self, name: str) -> dict[str, Any]:
        """Make a team whose members join, change their weight and leave."""
        members = []
        for login in ("Ada", "Bob", "Cleo"):
            first = self.choose(range(len(KEYS)))
            ends = [KEYS[first], *(key for key in KEYS[first + 1 :] if self.choose((True, False)))]
            for start, end in pairwise([*ends, None]):
                if start is not None and self.choose((True, True, False)):
                    members.append(
                        {
                            "github_username": login,
                            "allocation_weight": self.choose(WEIGHTS),
                            "joined_at": start.isoformat(),
                            "left_at": None if end is None else end.isoformat(),
                        }
                    )
        return {"id": name, "name": name.title(), "members": members}
