"""Accepted and refused values of DEPLOYMENTS, INCIDENTS and the incidents file."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dora.database import Database
from dora.errors import ConfigurationError
from dora.settings import Settings
from ingest.config import read_config
from ingest.delivery.deployment_rules import PRODUCTION, read_deployments, rules_for
from ingest.delivery.incident_rules import parse_incidents, read_incident_rules
from ingest.run_result import RunResult
from tests.ingest.truth import rows

Ingest = Callable[..., RunResult]
RULES = [
    {"repositories": ["acme/*"], "source": "deployments", "environment": "^production$"},
    {"repositories": ["acme/app"], "source": "releases", "tag": "^v[0-9]"},
    {
        "repositories": ["acme/mono"],
        "target": "api",
        "source": "tags",
        "tag": "^api-v",
        "labels": ["svc:api"],
        "paths": ["services/api/**", "*.proto"],
    },
]


def test_rules_are_read_from_the_setting_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text(json.dumps(RULES))
    for configured in (json.dumps(RULES), str(tmp_path / "rules.json")):
        first, *others = [rule.value() for rule in read_deployments(configured)]
        assert first | {"source": "deployments"} == RULES[0]
        assert others == RULES[1:]
    assert read_deployments(None) == read_deployments(" ") == []


def test_one_repository_may_be_a_text_and_what_is_a_default_is_left_out() -> None:
    (rule,) = read_deployments(
        '[{"repositories": " acme/app ", "source": "releases", "prereleases": false, "labels": []}]'
    )
    assert rule.value() == {"repositories": ["acme/app"], "source": "releases"}


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        ("[", "DEPLOYMENTS is not valid JSON: Expecting value"),
        ("{}", "DEPLOYMENTS: should be a JSON array"),
        ("[]", "DEPLOYMENTS: should not be empty"),
        ("[1]", "rule 1: should be a JSON object (it is 1)"),
        ("[{}]", "rule 1 > repositories: is missing"),
        ('[{"repositories": []}]', "rule 1 > repositories: should not be empty"),
        ('[{"repositories": ["acme"]}]', "rule 1 > repositories > 1: should be owner/name"),
        ('[{"repositories": ["*"], "src": "tags"}]', "rule 1 > src: no such field; a rule has"),
        ('[{"repositories": ["*"], "source": "jenkins"}]', "rule 1 > source: Input should be"),
        ('[{"repositories": ["*"], "tag": "v"}]', "rule 1: tag is for the source releases or tags"),
        (
            '[{"repositories": ["*"], "source": "tags", "environment": "p"}]',
            "rule 1: environment is for the source deployments, not for tags",
        ),
        ('[{"repositories": ["*"], "source": "workflow"}]', "the source workflow needs `workflow`"),
        (
            '[{"repositories": ["*"], "paths": ["api/"]}]',
            "rule 1 > paths > 1: matches no file; for everything in the folder write api/**",
        ),
        ('[{"repositories": ["*"], "paths": ["/api"]}]', "begin at the root of the repository"),
        ('[{"repositories": ["*"], "paths": ["a", "!b"]}]', "rule 1 > paths > 2: uses !, which"),
        ('[{"repositories": ["*"], "paths": [""]}]', "rule 1 > paths > 1: should not be empty"),
        ('[{"repositories": ["*"], "paths": "api"}]', "rule 1 > paths: should be a JSON array"),
        ('[{"repositories": ["*"], "target": "a\\u0000"}]', "contains a NUL"),
        ("no-such-file.json", "DEPLOYMENTS 'no-such-file.json' cannot be read"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(configured: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_deployments(configured)
    (fault,) = caught.value.faults
    assert said in fault


def test_every_fault_is_told_with_the_others(settings: Settings) -> None:
    bad = settings.model_copy(
        update={
            "deployments": '[1, {"repositories": ["*"], "environment": "("}]',
            "incidents": "{}",
            "pull_requests": "[1]",
        }
    )
    with pytest.raises(ConfigurationError) as caught:
        read_config(bad)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "PULL_REQUESTS",
        "DEPLOYMENTS",
        "DEPLOYMENTS",
        "INCIDENTS",
    ]


def test_rules_and_incidents_land_among_the_settings(ingest: Ingest, database: Database) -> None:
    query = "select name, value from raw.settings where name in ('deployments', 'incidents')"
    ingest()
    assert {row["name"]: row["value"] for row in rows(database, query)} == {
        "deployments": [],
        "incidents": {},
    }
    incidents = {"labels": ["incident"], "repositories": ["acme/incidents"]}
    ingest(deployments=json.dumps(RULES[1:]), incidents=json.dumps(incidents))
    assert {row["name"]: row["value"] for row in rows(database, query)} == {
        "deployments": RULES[1:],
        "incidents": incidents,
    }


def test_the_last_matching_rule_of_each_target_holds() -> None:
    rules = read_deployments(json.dumps(RULES))
    assert [rule.source for rule in rules_for(rules, "acme/web")] == ["deployments"]
    assert [rule.source for rule in rules_for(rules, "Acme/App")] == ["releases"]
    assert {rule.target: rule.source for rule in rules_for(rules, "acme/mono")} == {
        None: "deployments",
        "api": "tags",
    }
    assert rules_for(rules, "other/web") == []
    (default,) = rules_for([], "other/web")
    assert default.has_environment("Production")
    assert default.has_environment(None, "prod-eu")
    assert not default.has_environment("product", "staging", None)


# Patterns, and names of which some match.
PORTABLE = [
    PRODUCTION,
    r"^v[0-9]",
    r"^v?\d+(?:\.\d+){1,2}$",
    r"^(api|web)-v\d+\.\d+$",
    r"^release[-/]",
    r"[^a-z]+\Z",
    r"\Aprod",
    r"^[]a^-]+$",
    r"^[\w.]+$",
    r"a{2,3}?b",
    r"^\S+\s\D*$",
    "prod|live|",
    r"x\.y\-z",
]
NAMES = (
    *("production", "prod", "prod-eu", "Live", "v1", "v1.2.3", "1.2", "api-v1.0", "web-v2.10"),
    *("release/1", "release-2", "1-", "]a^-", "a.b_c", "aab", "aaaab", "a b", "x.y-z", "", "ab"),
)


@pytest.mark.parametrize("pattern", PORTABLE)
@pytest.mark.parametrize("flags", [0, re.IGNORECASE], ids=["case", "any case"])
def test_a_pattern_means_the_same_in_postgres(database: Database, pattern: str, flags: int) -> None:
    rule = [{"repositories": ["*"], "source": "tags", "tag": pattern}]
    assert read_deployments(json.dumps(rule))[0].tag == pattern
    operator = "~*" if flags else "~"
    with database.connect() as connection:
        query = f"select name, name {operator} %s from unnest(%s::text[]) as name"
        found = dict(connection.execute(query, [pattern, list(NAMES)]).fetchall())
    assert found == {name: bool(re.search(pattern, name, flags)) for name in NAMES}


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "should not be empty"),
        ("(", "is not a valid regular expression"),
        ("^(?=prod)", "uses lookahead"),
        ("(?<!pre)prod", "uses lookbehind"),
        ("(?P<name>v)", "uses a named group"),
        ("(?<name>v)", "uses a named group"),
        (r"(a)\1", "uses a backreference"),
        ("(?P<n>a)(?P=n)", "uses a named group"),
        ("(?i)prod", "uses an option or extension"),
        ("(?>a)", "uses an atomic group"),
        (r"\bprod", r"uses \b"),
        (r"\x41b", r"uses \x"),
        (r"\0", r"uses \0"),
        (r"[\S]", r"uses \S in"),
        ("[[:alpha:]]", "uses a POSIX class"),
        ("a++", "has the quantifier + after another one"),
        ("a*?+", "has the quantifier + after another one"),
        ("^*a", "repeats ^ or $"),
        ("a{,3}", "is not a repeat count"),
        ("a{300}", "more than 255 times"),
        ("***=a", "after another one"),
    ],
)
def test_a_pattern_that_would_mean_something_else_in_postgres_is_refused(
    pattern: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_deployments(json.dumps([{"repositories": ["*"], "environment": pattern}]))
    (fault,) = caught.value.faults
    assert fault.startswith("DEPLOYMENTS: rule 1 > environment: ")
    assert said in fault


def test_incidents_say_labels_repositories_and_a_file() -> None:
    value = {"labels": ["incident"], "repositories": ["acme/incidents"], "file": "incidents.csv"}
    rules = read_incident_rules(json.dumps(value))
    assert rules is not None
    assert rules.value() == value
    assert read_incident_rules(None) is None


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        ("{}", "needs labels, file or both"),
        ('{"repositories": ["a/b"]}', "repositories needs labels"),
        ('{"labels": ["x"], "repositories": ["a"]}', "repositories > 1: should be owner/name"),
        ('{"label": "x"}', "label: no such field; it has labels, repositories and file"),
        ("[]", "should be a JSON object"),
    ],
)
def test_incidents_that_cannot_be_are_refused(configured: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_incident_rules(configured)
    assert said in caught.value.faults[0]


CSV = """id,title,started_at,resolved_at,repository,pull_request,caused_by_change
1,Down,2026-03-02T10:00:00Z,2026-03-02T13:00:00+01:00,acme/api,acme/api#12,
2,Slow,2026-03-03,,,,false
"""


def test_a_file_is_csv_or_json() -> None:
    of_csv = parse_incidents(CSV, "incidents.csv")
    document: list[dict[str, Any]] = [incident.model_dump(mode="json") for incident in of_csv]
    assert parse_incidents(json.dumps(document), "incidents.json") == of_csv
    assert parse_incidents(CSV.replace(",", ";"), "incidents.csv") == of_csv
    first, second = of_csv
    assert (first.source, first.caused_by_change, first.pull_request) == (
        "file",
        None,
        "acme/api#12",
    )
    assert (second.resolved_at, second.repository, second.caused_by_change) == (None, None, False)


def test_a_file_says_everything_that_is_wrong_with_it() -> None:
    text = (
        "id,started_at,resolved_at,repository,commit_sha,fixed_by,owner\n"
        "1,2026-03-02T10:00,,,,,\n"
        "2,2026-03-02,2026-03-01,,,,\n"
        "3,,,acme,abc,12,\n"
        "4,2026-03-02,,,,,ops\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        parse_incidents(text, "incidents.csv")
    told = [fault.removeprefix("incidents.csv: ") for fault in caught.value.faults]
    assert [fault.partition(" (it is")[0] for fault in told] == [
        "line 2 > started_at: has a time of day without a zone; add Z or an offset",
        "line 3: resolved_at 2026-03-01T00:00:00+00:00 is before started_at "
        "2026-03-02T00:00:00+00:00",
        "line 4 > started_at: is missing",
        "line 4 > repository: should be owner/name",
        "line 4 > commit_sha: should be a commit's 40 hexadecimal digits",
        "line 4 > fixed_by: should be owner/name#12 or a commit's 40 hexadecimal digits",
        "line 5 > owner: no such column; an incident has source, id, title, url, severity, "
        "started_at, resolved_at, repository, target, deployment_id, commit_sha, pull_request, "
        "caused_by_change, fixed_by",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "neither a JSON array nor CSV"),
        ("hello", "neither a JSON array nor CSV"),
        ("[{]", "is not valid JSON"),
        ('[{"id": 1, "started_at": "2026-03-02", "source": "github"}]', "is reserved for GitHub"),
        ("id,started_at\n1,2026-03-02,x\n", "line 2 has more values than the header has names"),
        ("id,started_at\n1,2026-03-02\n1,2026-03-03\n", "line 3 > id: '1' is already on line 2"),
    ],
)
def test_a_file_that_cannot_be_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_incidents(text, "incidents.csv")
    assert said in caught.value.faults[0]
