"""`dora deployments`: show what each repository could count as deployments."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

import typer

from cli.console import set_up_logging, tell
from dora.errors import ConfigurationError
from dora.plurals import counted
from dora.settings import load_settings

if TYPE_CHECKING:
    from ingest.delivery.suggested_rules import Offer

app = typer.Typer(help="See what each repository could count as deployments.", no_args_is_help=True)
# At most this many environments of a repository are listed.
NAMED = 8


@app.command()
def check() -> None:
    """Validate DEPLOYMENTS; list environments, releases, tags and workflows, and suggest rules."""
    from ingest.config import read_config
    from ingest.delivery.suggested_rules import survey

    faults: list[str] = []
    settings = load_settings(faults)
    set_up_logging(settings.log_level)
    config = read_config(settings, faults=faults)
    offers, away = asyncio.run(survey(config))
    for line in away:
        tell(f"warning: {line}")
    for offer in offers:
        for line in describe(offer):
            print(line)
    rules = suggest(offers)
    if rules:
        tell("rules to add to DEPLOYMENTS for repositories in which no rule matches:")
        print(json.dumps(rules, indent=1))
    if away and not offers:
        raise ConfigurationError("no repository could be read")


def describe(offer: "Offer") -> list[str]:
    """Describe what a repository could count as deployments, line by line."""
    lines = [offer.repository]
    total = offer.counts.get("deployments", 0)
    seen = sum(offer.environments.values())
    of_latest = f" (of the latest {seen} of {total})" if total > seen else ""
    named = [f"{name or '(none)'} {n}" for name, n in offer.environments.most_common(NAMED)]
    lines += _line("environments", named, of_latest)
    more = f", {counted(offer.prereleases, 'prerelease')}" if offer.prereleases else ""
    lines += _line("releases", _newest(offer.releases, offer.counts.get("releases", 0)), more)
    lines += _line("tags", _newest(offer.tags, offer.counts.get("tags", 0)))
    workflows = [f"{name} ({file}) {n}" for file, (name, n) in offer.workflows.items()]
    lines += _line("workflows", workflows)
    for kind, reason in offer.unreadable.items():
        lines.append(f"  {kind.replace('_', ' ')}: cannot be read: {reason}")
    for rule in offer.rules:
        count = offer.matches(rule)
        target = f" of {rule.target}" if rule.target else ""
        said = "" if count is None else f": matches {count}"
        filters = [f"label {each}" for each in rule.labels]
        filters += [f"path {each}" for each in rule.paths]
        said += f"; its changes: {', '.join(filters)}" if filters else ""
        said += ", not measured" if count == 0 else ""
        lines.append(f"  rule{target}: {rule.source}{said}")
    if not offer.rules:
        lines.append("  no rule: not measured")
    return lines


def _line(name: str, values: list[str], more: str = "") -> list[str]:
    return [f"  {name}: {', '.join(values)}{more}"] if values or more else []


def _newest(names: list[str], total: int) -> list[str]:
    if not names:
        return []
    shown = names[:3]
    return [f"{total}, the newest {', '.join(shown)}"]


def suggest(offers: "list[Offer]") -> list[dict[str, Any]]:
    """Return rules for unmeasured repositories; repositories with the same rule share it."""
    rules: dict[str, dict[str, Any]] = {}
    for offer in offers:
        if any(offer.matches(rule) is None or offer.matches(rule) for rule in offer.rules):
            continue
        for rule in offer.suggest():
            (name,) = rule["repositories"]
            key = json.dumps({**rule, "repositories": []}, sort_keys=True)
            rules.setdefault(key, {**rule, "repositories": []})["repositories"].append(name)
    return list(rules.values())
