"""Simulates a week of deliveries: the actions of CI systems and of people on call."""

import json
import random
from datetime import datetime

from demo.delivery_model import Deployment, Issue
from demo.github import GitHub
from demo.model import Repository

LABEL = "incident"
DEPLOYMENTS = json.dumps(
    [
        {"repositories": ["*"]},
        {"repositories": ["*"], "target": "library", "source": "releases"},
        {"repositories": ["*"], "target": "tagged", "source": "tags", "tag": "^v"},
        {"repositories": ["*"], "target": "narrowed", "paths": ["src/**"]},
    ]
)
INCIDENTS = json.dumps({"labels": [LABEL]})
_STATES = ("QUEUED", "IN_PROGRESS", "WAITING", "FAILURE", "SUCCESS", "SUCCESS")


def begin(github: GitHub, at: datetime) -> None:
    """Give every repository some history."""
    for repository in github.repositories():
        for _ in range(3):
            github.add_commit(repository, at, branch=repository.default_branch)


def do_one(github: GitHub, repository: Repository, chance: random.Random, at: datetime) -> None:
    """Do one random action at this instant."""
    deed = chance.random()
    if deed < 0.2 or not repository.branches:
        github.add_commit(repository, at, branch=repository.default_branch)
    elif deed < 0.65:
        _deploy(github, repository, chance, at)
    elif deed < 0.87:
        _release(github, repository, chance, at)
    elif deed < 0.97:
        _respond(github, repository, chance, at)
    elif deed < 0.985:
        github.rename_default_branch(repository, f"trunk-{chance.randrange(10**6)}")
    else:
        github.rewrite_default_branch(repository, at, chance.randrange(1, 4))


def _deploy(github: GitHub, repository: Repository, chance: random.Random, at: datetime) -> None:
    deployments = list(repository.deployments.values())
    deed = chance.random()
    if deed < 0.4 or not deployments:
        oid = chance.choice(list(repository.commits))
        if chance.random() < 0.1:
            # A release branch; sometimes a commit of a fork, which GitHub does not show.
            oid = github.add_commit(repository, at, oid).oid
        if chance.random() < 0.05:
            oid = f"{chance.randrange(16**40):040x}"
        environment = chance.choice(["production", "production", "staging"])
        github.deploy(repository, at, oid, environment)
    elif deed < 0.9:
        deployment: Deployment = chance.choice(deployments)
        environment = "production" if chance.random() < 0.05 else None
        github.add_status(deployment, at, chance.choice(_STATES), environment)
    elif deed < 0.93:
        chance.choice(deployments).is_unreadable = True
    else:
        # A cleanup job.
        for deployment in chance.sample(deployments, min(3, len(deployments))):
            github.delete_deployment(deployment)


def _release(github: GitHub, repository: Repository, chance: random.Random, at: datetime) -> None:
    oid = chance.choice(list(repository.commits))
    releases, tags = list(repository.releases.values()), list(repository.tags.values())
    drafts = [release for release in releases if release.is_draft]
    deed = chance.random()
    if deed < 0.25 or not tags:
        tagged_at = at if chance.random() < 0.5 else None
        github.tag(repository, f"v{len(tags)}-{chance.randrange(10**6)}", oid, tagged_at)
    elif deed < 0.4:
        github.tag(repository, chance.choice(tags).name, oid)
    elif deed < 0.5:
        github.delete_tag(chance.choice(tags))
    elif deed < 0.7:
        github.draft_release(repository, at, chance.choice(tags).name)
    elif deed < 0.95 and drafts:
        github.publish(chance.choice(drafts), at)
    elif releases:
        github.delete_release(chance.choice(releases))


def _respond(github: GitHub, repository: Repository, chance: random.Random, at: datetime) -> None:
    issues: list[Issue] = list(repository.issues.values())
    deed = chance.random()
    if deed < 0.4 or not issues:
        github.open_issue(repository, at, [LABEL, "other"], body="Severity: high")
        return
    issue = chance.choice(issues)
    if deed < 0.6:
        closers = [pr for pr in repository.by_number.values() if pr.state == "MERGED"]
        reason = chance.choice(["COMPLETED", "COMPLETED", "NOT_PLANNED", "DUPLICATE"])
        closer = chance.choice(closers) if closers and chance.random() < 0.5 else None
        github.close_issue(issue, at, reason, closer)
    elif deed < 0.7:
        github.reopen_issue(issue, at)
    elif deed < 0.85:
        labels = ["other"] if LABEL in issue.labels else [LABEL]
        github.edit_issue(issue, at, labels=labels)
    elif deed < 0.95:
        github.edit_issue(issue, at, title=f"Retitled {chance.random()}")
    else:
        github.delete_issue(issue)


def recover(github: GitHub, chance: random.Random, *, is_calm: bool) -> None:
    """Sometimes make unreadable deployments readable again; all if `is_calm`."""
    for repository in github.repositories():
        for deployment in repository.deployments.values():
            if deployment.is_unreadable and (is_calm or chance.random() < 0.3):
                deployment.is_unreadable = False
