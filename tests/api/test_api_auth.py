import json
import logging

import httpx
import pytest
from api_support import ALL_KEY, API_KEYS, WEB_KEY, Client, settings_for

from api.app import create_app
from api.auth import BAD_KEYS, BadKeys, KeyRing
from dora.api_keys import new_key
from dora.errors import ConfigurationError, UnavailableError

CORE = "/metrics/team/core/{}"
WEB = "/metrics/team/web/{}"
FIGURES = ["velocity", "lead-time", "delivery", "deployments", "pull-requests", "reviews"]
BAD = "not-a-key"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def assert_refused(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


@pytest.fixture
def keyless(marts):
    """An app without `API_KEYS`."""
    app = create_app(settings_for(marts.url, api_keys=None))
    yield app
    app.state.marts.close()


@pytest.mark.parametrize(
    "path", ["/teams", "/groups", "/metrics/trends", *map(WEB.format, FIGURES)]
)
@pytest.mark.parametrize(
    "key",
    [None, "", BAD, ALL_KEY[:-1], ALL_KEY + "x", "ключ".encode()],
    ids=["none", "empty", "unknown", "too short", "too long", "not ascii"],
)
def test_missing_or_unknown_key_returns_401(nowhere, path, key):
    headers = {} if key is None else {"X-API-Key": key}
    answer = Client(nowhere, key=None).get(path, headers=headers)
    assert_refused(answer, 401)
    assert "www-authenticate" in answer.headers


def test_digest_of_a_key_is_not_accepted_as_key(app):
    digest = json.loads(API_KEYS)[0]["sha256"]
    assert_refused(Client(app, key=digest).get("/teams"), 401)


@pytest.mark.parametrize("figure", FIGURES)
def test_key_of_other_teams_returns_403(app, figure):
    limited = Client(app, key=WEB_KEY)
    assert limited.get(WEB.format(figure)).status_code == 200
    assert_refused(limited.get(CORE.format(figure)), 403)


def test_limited_key_cannot_tell_other_teams_from_unknown_ones(app):
    limited = Client(app, key=WEB_KEY)
    there, not_there = (limited.get(f"/metrics/team/{team}/velocity") for team in ("core", "cord"))
    assert_refused(not_there, 403)
    assert there.json()["detail"].replace("core", "cord") == not_there.json()["detail"]


@pytest.mark.parametrize("parameters", [{"from": "x"}, {"limit": "0"}, {"cursor": "x"}])
def test_missing_key_is_reported_before_invalid_parameters(anonymous, parameters):
    assert_refused(anonymous.get(WEB.format("pull-requests"), params=parameters), 401)


def test_ten_bad_keys_in_a_minute_block_their_address(app):
    guessing = Client(app, key=BAD)
    for _ in range(BAD_KEYS):
        assert_refused(guessing.get("/teams"), 401)
    answer = guessing.get("/teams")
    assert_refused(answer, 429)
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert Client(app, key=BAD, address="192.0.2.2").get("/teams").status_code == 401
    assert guessing.get("/health").status_code == 200


def test_good_key_is_answered_after_ten_bad_keys_from_the_same_address(app):
    stale = Client(app, key=BAD)
    while stale.get("/teams").status_code != 429:
        pass
    assert Client(app).get("/teams").status_code == 200
    assert_refused(stale.get("/teams"), 429)


def test_missing_key_does_not_count_as_bad_key(app):
    for _ in range(3 * BAD_KEYS):
        assert_refused(Client(app, key=None).get("/teams"), 401)
    assert Client(app).get("/teams").status_code == 200


def test_bad_keys_are_forgotten_after_a_minute():
    clock = Clock()
    bad_keys = BadKeys(clock)
    for _ in range(BAD_KEYS):
        assert bad_keys.wait_seconds("a") == 0
        bad_keys.count("a")
        clock.now += 3
    assert bad_keys.wait_seconds("a") == 30
    assert bad_keys.wait_seconds("b") == 0
    clock.now += 29.75
    assert bad_keys.wait_seconds("a") == 1
    clock.now += 0.25
    assert bad_keys.wait_seconds("a") == 0
    bad_keys.count("a")
    assert bad_keys.wait_seconds("a") == 3
    clock.now += 3600
    assert bad_keys.wait_seconds("a") == 0


def test_too_many_addresses_drop_the_least_recently_seen(monkeypatch):
    monkeypatch.setattr("api.auth.MAX_ADDRESSES", 2)
    bad_keys = BadKeys(Clock())
    for address in ["a", *["b"] * BAD_KEYS, "a", "c"]:
        bad_keys.count(address)
    assert bad_keys.wait_seconds("b") == 0
    for _ in range(BAD_KEYS - 2):
        bad_keys.count("a")
    assert bad_keys.wait_seconds("a") > 0


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_without_keys_loopback_is_answered(keyless, address):
    for host in ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "dora.localhost"]:
        answer = Client(keyless, key=None, address=address, host=host).get("/teams")
        assert [team["id"] for team in answer.json()["data"]] == ["core", "web"]


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "::ffff:192.0.2.1", "::2", ""])
def test_without_keys_other_addresses_get_only_health(keyless, address):
    for key in (None, ALL_KEY):
        client = Client(keyless, key=key, address=address)
        assert_refused(client.get("/teams"), 401)
        assert client.get("/health").status_code == 200


def test_without_keys_foreign_host_name_is_refused(keyless):
    """DNS rebinding: a website sends requests through the user's browser."""
    client = Client(keyless, key=None, address="127.0.0.1")
    for host in ["dora.example", "localhost.example", "192.0.2.1", "[::2]", "[oops", ""]:
        assert_refused(client.get("/teams", headers={"Host": host}), 401)


def test_without_keys_request_through_local_proxy_is_refused(keyless, serve):
    base = serve(keyless)
    assert httpx.get(base + "/teams").status_code == 200
    assert_refused(httpx.get(base + "/teams", headers={"X-Forwarded-For": "192.0.2.1"}), 401)


def test_without_keys_in_lambda_only_health_is_answered(keyless, monkeypatch):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "api")
    client = Client(keyless, key=None, address="127.0.0.1")
    assert_refused(client.get("/teams"), 401)
    assert client.get("/health").status_code == 200


def test_empty_list_of_keys_refuses_everyone(marts):
    app = create_app(settings_for(marts.url, api_keys="[]"))
    assert_refused(Client(app, key=None, address="127.0.0.1").get("/teams"), 401)


def test_keys_are_read_again_once_a_minute():
    clock = Clock()
    held = [API_KEYS]
    ring = KeyRing(lambda: held[0], clock)
    assert [key.name for key in ring.current()] == ["all", "web-only"]
    held[0] = "[]"
    clock.now += 59
    assert [key.name for key in ring.current()] == ["all", "web-only"]
    clock.now += 1
    assert ring.current() == []


def test_keys_are_replaced_without_a_restart(marts, monkeypatch):
    monkeypatch.setattr("api.auth.REREAD_SECONDS", 0)
    key, entry = new_key("new")
    held = [API_KEYS]
    app = create_app(settings_for(marts.url), key_source=lambda: held[0])
    assert Client(app).get("/teams").status_code == 200
    held[0] = json.dumps([entry])
    assert Client(app, key=key).get("/teams").status_code == 200
    assert_refused(Client(app).get("/teams"), 401)


@pytest.mark.parametrize(
    "fault", [ConfigurationError("[0] is bad"), UnavailableError("unavailable")]
)
def test_failed_reload_keeps_the_previous_keys(fault, caplog):
    clock = Clock()

    def source():
        if clock.now > 1000:
            raise fault
        return API_KEYS

    ring = KeyRing(source, clock)
    before = ring.current()
    clock.now += 60
    assert ring.current() == before
    assert str(fault) in caplog.text


def test_malformed_keys_are_refused_at_start_up():
    with pytest.raises(ConfigurationError) as refused:
        create_app(settings_for("postgresql://127.0.0.1:1/x", api_keys='[{"name": "a"}]'))
    assert len(refused.value.faults) == 2


def test_keys_appear_in_no_log_and_no_response(marts, serve, caplog):
    caplog.set_level(logging.DEBUG)
    app = create_app(settings_for(marts.url))
    base = serve(app)
    texts = []
    for key in (ALL_KEY, WEB_KEY, "surely-secret"):
        for path in ("/teams", CORE.format("velocity"), WEB.format("velocity") + "?from=x", "/no"):
            answer = httpx.get(base + path, headers={"X-API-Key": key})
            texts.append(f"{answer.headers} {answer.text}")
    assert "unknown API key" in caplog.text
    own = [record for record in caplog.records if not record.name.startswith("http")]
    texts += [record.getMessage() for record in own]
    for key in (ALL_KEY, WEB_KEY, "surely-secret"):
        assert not any(key in text for text in texts)
