"""PULL_REQUESTS and AUTOMATION_LOGINS: accepted and refused values, and their loading."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dora.database import Database
from dora.errors import ConfigurationError
from dora.settings import Settings
from ingest.config import read_config
from ingest.exclusion_rules import read_automation_logins, read_rules
from ingest.run_result import RunResult
from tests.ingest.truth import rows

Ingest = Callable[..., RunResult]
RULE = {"base": "main", "head": "develop", "reason": "between long-lived branches"}


def test_rules_are_read_from_the_setting_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text(json.dumps([RULE]))
    for configured in (json.dumps([RULE]), str(tmp_path / "rules.json")):
        (rule,) = read_rules(configured)
        assert rule.model_dump(exclude_none=True) == RULE
    assert read_rules(None) == read_rules(" ") == read_rules("[]") == []


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        ("[", "PULL_REQUESTS is not valid JSON: Expecting value"),
        ('{"base": "main"}', "PULL_REQUESTS: should be a JSON array of rules"),
        ("[1]", "PULL_REQUESTS: rule 1: should be a JSON object (it is 1)"),
        ('[{"base": "main"}]', "PULL_REQUESTS: rule 1 > reason: is missing"),
        ('[{"base": "", "reason": "x"}]', "rule 1 > base: should not be empty"),
        ('[{"base": ["main"], "reason": "x"}]', "rule 1 > base: should be a text"),
        ('[{"branch": "main", "base": "a", "reason": "x"}]', "rule 1 > branch: no such field"),
        ('[{"reason": "x"}]', "rule 1: needs at least one of base, head, label and title"),
        ('[{"title": "a\\u0000", "reason": "x"}]', "contains a NUL"),
        ("no-such-file.json", "PULL_REQUESTS 'no-such-file.json' cannot be read"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(configured: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_rules(configured)
    (fault,) = caught.value.faults
    assert said in fault


def test_automation_logins_are_patterns_with_commas_between() -> None:
    assert read_automation_logins(" acme-ci, *-bot,renovate[bot] ") == [
        "acme-ci",
        "*-bot",
        "renovate[bot]",
    ]
    assert read_automation_logins(None) == []
    with pytest.raises(ConfigurationError) as caught:
        read_automation_logins("@ci,ok,a/b")
    assert [fault.split(" is not")[0] for fault in caught.value.faults] == [
        "AUTOMATION_LOGINS: '@ci'",
        "AUTOMATION_LOGINS: 'a/b'",
    ]


def test_faults_of_both_are_told_with_the_others(settings: Settings) -> None:
    bad = settings.model_copy(
        update={"pull_requests": "[1]", "automation_logins": "@", "team_config_json": "[]"}
    )
    with pytest.raises(ConfigurationError) as caught:
        read_config(bad)
    assert [fault.split(":")[0] for fault in caught.value.faults] == [
        "TEAM_CONFIG_JSON",
        "PULL_REQUESTS",
        "AUTOMATION_LOGINS",
    ]


def test_a_change_of_the_settings_lands_with_the_next_run(
    ingest: Ingest, database: Database
) -> None:
    query = """
        select name, value
        from raw.settings
        where name in ('automation_logins', 'pull_requests')
        order by name
    """
    ingest()
    assert [row["value"] for row in rows(database, query)] == [[], []]
    ingest(pull_requests=json.dumps([RULE]), automation_logins="acme-ci")
    assert [row["value"] for row in rows(database, query)] == [["acme-ci"], [RULE]]
    ingest()
    assert [row["value"] for row in rows(database, query)] == [[], []]
