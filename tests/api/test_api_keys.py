import hashlib
import json

import pytest

from dora.api_keys import ApiKey, find_key, new_key, parse_keys
from dora.errors import ConfigurationError

DIGEST = hashlib.sha256(b"secret").hexdigest()


def entry(**changes: object) -> dict[str, object]:
    return {"name": "ci", "sha256": DIGEST, "teams": "*"} | changes


def test_new_key_matches_its_entry_without_appearing_in_it():
    key, made = new_key("ci", ["core", "web"])
    assert key not in json.dumps(made)
    assert len(key) == 43
    (parsed,) = parse_keys(json.dumps([made]))
    assert parsed == ApiKey("ci", made["sha256"], frozenset({"core", "web"}))
    assert find_key([parsed], key) == parsed
    assert find_key([parsed], key + "x") is None


def test_new_keys_are_unique():
    assert len({new_key("ci")[0] for _ in range(50)}) == 50


def test_key_reads_only_its_teams_and_star_reads_all():
    some, every = parse_keys(
        json.dumps([entry(teams=["web"]), entry(sha256=DIGEST[::-1], teams="*")])
    )
    assert [some.may_read("web"), some.may_read("core")] == [True, False]
    assert [every.may_read("web"), every.may_read("core")] == [True, True]


def test_upper_case_digest_is_accepted():
    (parsed,) = parse_keys(json.dumps([entry(sha256=DIGEST.upper())]))
    assert find_key([parsed], "secret") == parsed


def test_two_keys_may_share_a_name_during_rotation():
    assert len(parse_keys(json.dumps([entry(), entry(sha256=DIGEST[::-1])]))) == 2


def test_non_ascii_key_is_compared_by_its_header_bytes():
    digest = hashlib.sha256("schlüssel".encode()).hexdigest()
    (parsed,) = parse_keys(json.dumps([entry(sha256=digest)]))
    assert find_key([parsed], "schlüssel".encode().decode("latin-1")) == parsed


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        pytest.param("", ["is not a JSON array"], id="empty"),
        pytest.param("hunter2", ["is not a JSON array"], id="a key itself"),
        pytest.param("[" * 100_000, ["is not a JSON array"], id="deep"),
        pytest.param('{"hunter2": "*"}', ["is not a JSON array"], id="an object"),
        pytest.param('["hunter2"]', ["[0] is not an object"], id="a list of keys"),
        pytest.param("[{}]", ["[0] lacks name", "lacks sha256", "lacks teams"], id="all missing"),
        pytest.param([entry(hunter2=1)], ["[0] has a field besides"], id="unknown field"),
        pytest.param([entry(name="")], ["[0].name"], id="no name"),
        pytest.param([entry(name="hunter2\n")], ["[0].name"], id="name of two lines"),
        pytest.param([entry(name=2)], ["[0].name"], id="name is a number"),
        pytest.param([entry(sha256="hunter2")], ["[0].sha256"], id="the key for its digest"),
        pytest.param([entry(sha256=DIGEST + "0")], ["[0].sha256"], id="digest too long"),
        pytest.param([entry(teams="hunter2")], ["[0].teams"], id="a team without its list"),
        pytest.param([entry(teams=[])], ["[0].teams"], id="no team"),
        pytest.param([entry(teams=["hunter2", 3])], ["[0].teams"], id="team is a number"),
        pytest.param([entry(teams=None)], ["[0].teams"], id="teams null"),
        pytest.param(
            [entry(), entry(name="b")], ["[0] and API_KEYS[1] have the same sha256"], id="twice"
        ),
        pytest.param(
            [entry(sha256="hunter2"), 5, entry(teams=[], name="")],
            ["[0].sha256", "[1] is not an object", "[2].name", "[2].teams"],
            id="every fault at once",
        ),
    ],
)
def test_malformed_keys_report_every_fault_but_no_value(text, faults):
    with pytest.raises(ConfigurationError) as refused:
        parse_keys(text if isinstance(text, str) else json.dumps(text))
    assert len(refused.value.faults) == len(faults)
    for told, expected in zip(refused.value.faults, faults, strict=True):
        assert told.startswith("API_KEYS")
        assert expected in told
        assert "hunter2" not in told
        assert DIGEST not in told


@pytest.mark.parametrize(("name", "teams"), [("", "*"), ("ci", []), ("ci", ["a b"])])
def test_new_key_with_invalid_name_or_teams_is_refused(name, teams):
    with pytest.raises(ConfigurationError, match="should be"):
        new_key(name, teams)
