"""Finds possible deployments of each repository and suggests rules for them."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.clock import Budget, SystemClock
from ingest.config import Config
from ingest.delivery.deployment_rules import PRODUCTION, DeploymentRule, rules_for
from ingest.github.batching import in_parts
from ingest.github.client import GitHub
from ingest.github.deliveries import KINDS
from ingest.github.errors import Refused, Unanswerable
from ingest.repositories_to_sync import Known, discover

_DEPLOY_LIKE = re.compile(r"deploy|release|publish|ship|rollout|production", re.IGNORECASE)
_VERSION = re.compile(r"(?P<prefix>(?:[a-z][a-z0-9_.-]*[-/@_])?)v?\d+(?:\.\d+)*", re.IGNORECASE)
# Fewer of a kind are no regular practice.
HABIT = 2


@dataclass
class Offer:
    """A repository's environments, tags of releases, tags and workflows, newest first.

    `counts` are GitHub's counts, which may exceed the lists here; `unreadable` has the reasons of
    unreadable lists. `workflows` are those whose name or file suggests a deployment: name and
    number of runs, by file.
    """

    repository: str
    environments: Counter[str] = field(default_factory=Counter)
    releases: list[str] = field(default_factory=list)
    prereleases: int = 0
    tags: list[str] = field(default_factory=list)
    workflows: dict[str, tuple[str, int]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    rules: list[DeploymentRule] = field(default_factory=list)

    def matches(self, rule: DeploymentRule) -> int | None:
        """Return how many of these items a rule counts; None if that is unknown."""
        if rule.source == "deployments":
            return sum(n for name, n in self.environments.items() if rule.has_environment(name))
        if rule.source in {"releases", "tags"}:
            names = self.releases if rule.source == "releases" else self.tags
            return sum(rule.has_tag(name) for name in names)
        if rule.source == "workflow":
            return sum(
                count
                for file, (name, count) in self.workflows.items()
                if rule.workflow in {file, name}
            )
        return None

    def suggest(self) -> list[dict[str, Any]]:
        """Return the suggested rules; an empty list if the default rule fits."""
        production = re.compile(PRODUCTION, re.IGNORECASE)
        if any(production.search(name) for name in self.environments):
            return []
        rule: dict[str, Any] = {"repositories": [self.repository]}
        for source, names in (("releases", self.releases), ("tags", self.tags)):
            if len(names) >= HABIT and (targets := _targets(names)):
                return [
                    {**rule, **({"target": name} if name else {}), "source": source, "tag": tag}
                    for name, tag in targets.items()
                ]
        if self.workflows:
            file = max(self.workflows, key=lambda each: (self.workflows[each][1], each))
            return [{**rule, "source": "workflow", "workflow": file}]
        return [{**rule, "source": "merges"}]


def _targets(tags: Sequence[str]) -> dict[str, str]:
    """Return a pattern of tags per target: one for each frequent prefix of version tags."""
    prefixes = Counter(found["prefix"] for tag in tags if (found := _VERSION.match(tag)))
    often = {prefix: count for prefix, count in prefixes.items() if count >= HABIT}
    named = {prefix: prefix for prefix in often if prefix}
    if "" in often and often[""] * 2 >= len(tags):
        return {"": "^v?[0-9]"}
    return {
        re.sub(r"[-/@_]+$", "", prefix): f"^{_escape(prefix)}v?[0-9]" for prefix in sorted(named)
    } or ({"": "^v?[0-9]"} if "" in often else {})


def _escape(prefix: str) -> str:
    """Escape the only character of a prefix that is special in a pattern."""
    return prefix.replace(".", r"\.")


async def survey(config: Config) -> tuple[list[Offer], list[str]]:
    """Ask GitHub for every configured repository; return offers, and messages on failures."""
    clock = SystemClock()
    github = GitHub(
        config.url,
        config.auth,
        clock,
        Budget(clock),
        reserve=config.reserve,
        verify=config.verify,
        proxy=config.proxy,
    )
    async with github:
        found = await discover(github, config, Known())
        offers = {key: Offer(each.repository) for key, each in found.repositories.items()}
        async for part, answer in in_parts(github, "offers", list(offers)):
            for index, key in enumerate(part):
                for kind in KINDS:
                    if isinstance(answer, Unanswerable):
                        offers[key].unreadable[kind] = str(answer)
                        continue
                    page = (answer.data[kind][index] or {}).get("page")
                    if page is None:
                        error = answer.error_about(kind, index) or {}
                        reason = str(error.get("message", "GitHub returned nothing for it"))
                        offers[key].unreadable[kind] = reason
                        continue
                    _read(offers[key], kind, page)
        for offer in offers.values():
            offer.rules = rules_for(config.deployments, offer.repository)
            await _read_workflows(github, offer)
    away = {**found.away, **found.unclear}
    return (
        sorted(offers.values(), key=lambda offer: offer.repository.casefold()),
        [f"{name} is unreachable: {reason}" for name, reason in sorted(away.items())],
    )


def _read(offer: Offer, kind: str, page: dict[str, Any]) -> None:
    offer.counts[kind] = page["totalCount"]
    nodes = [node for node in page["nodes"] or () if node]
    if kind == "deployments":
        names = (node["environment"] or node["originalEnvironment"] or "" for node in nodes)
        offer.environments = Counter(names)
    elif kind == "releases":
        published = [node for node in nodes if not node["isDraft"]]
        offer.releases = [node["tagName"] for node in published if not node["isPrerelease"]]
        offer.prereleases = len(published) - len(offer.releases)
    else:
        offer.tags = [node["name"] for node in nodes]


async def _read_workflows(github: GitHub, offer: Offer) -> None:
    """Count the runs of the workflows whose name or file suggests a deployment."""
    base = f"/repos/{offer.repository}/actions"
    try:
        answer = await github.get(f"{base}/workflows", {"per_page": 100})
        for workflow in (answer or {}).get("workflows", ()):
            file = workflow["path"].rpartition("/")[2]
            if _DEPLOY_LIKE.search(f"{workflow['name']} {file}"):
                runs = await github.get(f"{base}/workflows/{workflow['id']}/runs", {"per_page": 1})
                count = (runs or {}).get("total_count", 0)
                offer.workflows[file] = (workflow["name"], count)
    except (Refused, Unanswerable) as error:
        offer.unreadable["workflow_runs"] = str(error)
