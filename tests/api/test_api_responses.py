import csv
import gzip
import io
import logging

import httpx
import pytest
from api_support import ALL_KEY, WEB_KEY, Client
from pydantic import create_model

from api.database import Marts
from api.response_cache import Answer, ResponseCache
from api.responses import prefers_csv, to_csv
from api.routes import open_pull_requests, pull_requests, velocity

VELOCITY = "/metrics/team/web/velocity"
PULL_REQUESTS = "/metrics/team/web/pull-requests"
PATHS = ["/teams", "/metrics/trends", VELOCITY, "/metrics/team/web/lead-time", PULL_REQUESTS]
AS_CSV = {"Accept": "text/csv"}


def again(client: Client, answer: httpx.Response, path: str = VELOCITY, **more: str):
    return client.get(path, headers={"If-None-Match": answer.headers["etag"]} | more)


def watch(monkeypatch) -> list[str]:
    """Record the queries to the marts from now on."""
    asked: list[str] = []
    run = Marts.of_one_build

    def watched(self, query, *rest):
        asked.append(query)
        return run(self, query, *rest)

    monkeypatch.setattr(Marts, "of_one_build", watched)
    return asked


@pytest.mark.parametrize("path", PATHS)
def test_known_etag_returns_304_after_one_query(client, path, monkeypatch):
    first = client.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    asked = watch(monkeypatch)
    answer = again(client, first, path)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == first.headers["etag"]
    assert asked == ["select build.build_id from build"]


@pytest.mark.parametrize("headers", [{}, AS_CSV])
@pytest.mark.parametrize("path", [*PATHS, f"{PULL_REQUESTS}?limit=1"])
def test_repeated_request_is_served_from_the_cache(client, path, headers, monkeypatch):
    first = client.get(path, headers=headers)
    asked = watch(monkeypatch)
    second = client.get(path, headers=headers)
    assert asked == ["select build.build_id from build"]
    assert second.content == first.content
    for name in ("X-Request-ID", "Server-Timing"):
        assert second.headers.pop(name) != first.headers.pop(name)
    assert second.headers == first.headers


def test_uncached_request_takes_one_query_and_sees_a_new_build(client, marts, monkeypatch):
    asked = watch(monkeypatch)
    first = client.get(VELOCITY)
    client.get(PULL_REQUESTS)
    client.get(f"{PULL_REQUESTS}?state=open")
    assert asked == [velocity.QUERY, pull_requests.QUERY, open_pull_requests.QUERY]
    marts.run("update marts.dim_build set build_id = 'b2'")
    second = client.get(VELOCITY)
    assert second.headers["etag"] != first.headers["etag"]
    marts.run("update marts.dim_build set build_id = 'b1'")
    assert client.get(VELOCITY).headers["etag"] == first.headers["etag"]


def test_full_cache_drops_the_least_recently_used_response():
    kept = ResponseCache(most_bytes=10)
    for tag in ("a", "b"):
        kept.put(tag, Answer(b"12345", {}), "b1")
    assert kept.get("a") is not None
    kept.put("c", Answer(b"12345", {}), "b1")
    assert [tag for tag in "abc" if kept.get(tag)] == ["a", "c"]
    kept.put("a", Answer(b"123", {}), "b1")
    kept.put("d", Answer(b"12", {}), "b1")
    assert [tag for tag in "abcd" if kept.get(tag)] == ["a", "c", "d"]
    kept.put("e", Answer(b"1234567", {}, b"1234"), "b1")
    assert [tag for tag in "acde" if kept.get(tag)] == ["a", "c", "d"]


def test_new_build_changes_the_response(client, marts):
    first = client.get(VELOCITY)
    marts.run("update marts.dim_build set build_id = 'b2'")
    marts.run("update marts.fct_team_velocity_weekly set prs_merged = prs_merged + 1")
    for answer in (again(client, first), client.get(VELOCITY)):
        assert answer.status_code == 200
        assert answer.headers["etag"] != first.headers["etag"]
        assert answer.json() != first.json()


def test_etag_belongs_to_the_build_of_the_rows(client, monkeypatch):
    """A build was published between the query for the build id and the query for the rows."""
    tag = client.get(VELOCITY).headers["etag"]
    monkeypatch.setattr(Marts, "build_id", lambda marts: "the one before")
    assert client.get(VELOCITY).headers["etag"] == tag


def test_release_with_a_new_column_changes_the_etag(client, monkeypatch):
    first = client.get(VELOCITY)
    more = create_model("VelocityWeek", __base__=velocity.VelocityWeek, new=(int, 0))
    monkeypatch.setattr(velocity, "VelocityWeek", more)
    assert again(client, first).status_code == 200


def test_etag_depends_on_path_parameters_format_and_teams(app, client):
    limited = Client(app, key=WEB_KEY)
    answers = [
        client.get(VELOCITY),
        client.get("/metrics/team/core/velocity"),
        client.get(VELOCITY, params={"from": "2026-01-01"}),
        client.get(VELOCITY, params={"to": "2026-01-01"}),
        client.get(VELOCITY, headers=AS_CSV),
        limited.get(VELOCITY),
    ]
    assert len({answer.headers["etag"] for answer in answers}) == len(answers)
    assert all("X-API-Key" in answer.headers["vary"] for answer in answers)


def test_etag_does_not_bypass_authorisation(app, client, anonymous):
    first = client.get("/metrics/team/core/velocity")
    tag = {"If-None-Match": first.headers["etag"]}
    limited = Client(app, key=WEB_KEY)
    assert limited.get("/metrics/team/core/velocity", headers=tag).status_code == 403
    assert anonymous.get("/metrics/team/core/velocity", headers=tag).status_code == 401


def test_one_matching_etag_of_several_returns_304(client):
    tag = client.get(VELOCITY).headers["etag"]
    answer = client.get(VELOCITY, headers={"If-None-Match": f'"x", {tag}'})
    assert answer.status_code == 304
    assert client.get(VELOCITY, headers={"If-None-Match": '"x", junk'}).status_code == 200
    assert client.get(VELOCITY, headers={"If-None-Match": "*"}).status_code == 304


def rows(answer: httpx.Response) -> list[list[str]]:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    return list(csv.reader(io.StringIO(answer.text, newline="")))


@pytest.mark.parametrize("path", PATHS[2:])
def test_csv_has_the_rows_of_json(client, path):
    names, *found = rows(client.get(path, headers=AS_CSV))
    data = client.get(path).json()["data"]
    assert names == ["team_id", *data[0]]
    assert len(found) == len(data) > 0
    for (team_id, *line), row in zip(found, data, strict=True):
        assert team_id == "web"
        for text, value in zip(line, row.values(), strict=True):
            if isinstance(value, bool):
                assert text == str(value).lower()
            elif isinstance(value, int | float):
                assert float(text) == value
            else:
                assert text == (value or "")


def test_csv_lists_members_as_readable_text(client, marts):
    marts.run(
        "insert into marts.dim_team_memberships values ('web', 'zoe', 0.25, '2026-01-01', null)"
    )
    _, core, web = rows(client.get("/teams", headers=AS_CSV))
    assert core == ["core", "Core", "Shared services", "ada 1.0"]
    assert web == ["web", "Web", "", "bob 1.0; zoe 0.25"]


def test_list_in_csv_is_not_a_formula():
    text = to_csv(["labels"], [{"labels": ["=1+1", "bug"]}, {"labels": []}])
    assert text == 'labels\r\n\'=1+1; bug\r\n""\r\n'


def test_title_in_csv_is_not_a_formula(client, marts):
    marts.run("update marts.fct_pull_requests set title = '=HYPERLINK(\"x\")\n,' where number = 1")
    names, first, _ = rows(client.get(PULL_REQUESTS, headers=AS_CSV))
    assert first[names.index("title")] == '\'=HYPERLINK("x")\n,'
    assert client.get(PULL_REQUESTS).json()["data"][0]["title"] == '=HYPERLINK("x")\n,'


def test_csv_links_to_the_next_page(client):
    answer = client.get(PULL_REQUESTS, params={"limit": 1, "from": "2026-01-01"}, headers=AS_CSV)
    (link,) = [answer.links["next"]["url"]]
    assert "from=2026-01-01" in link
    second = rows(client.get(link, headers=AS_CSV))
    assert [line[2] for line in second] == ["number", "2"]
    assert "link" not in client.get(link).headers


@pytest.mark.parametrize(
    ("accept", "is_csv"),
    [
        ("", False),
        ("*/*", False),
        ("text/csv", True),
        ("text/csv; header=present", True),
        ("TEXT/CSV", True),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("application/json, text/csv", False),
        ("application/json;q=0.5, text/csv;q=0.6", True),
        ("text/csv;q=0", False),
        ("text/csv;q=x, */*", False),
        ("application/*;q=0.1, text/*", True),
        ("text/csv, */*", True),
        ("text/csv;q=0.5, */*", False),
        ("text/csv;q=0, */*;q=0", False),
    ],
)
def test_accept_header_selects_the_preferred_format(accept, is_csv):
    assert prefers_csv(accept) == is_csv


def test_long_responses_are_gzipped_if_accepted(client, marts):
    marts.run(
        "insert into marts.fct_team_velocity_weekly select 'web', '2026-02-02'::date + 7 * n,"
        " 0, 0, null, null, 0, false from generate_series(0, 99) as n"
    )
    plain = client.get(VELOCITY, headers={"Accept-Encoding": "identity"})
    packed = client.get(VELOCITY, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["vary"]
    assert int(packed.headers["content-length"]) < len(gzip.compress(plain.content)) * 1.5
    assert packed.json() == plain.json()
    assert client.get(VELOCITY, headers={"Accept-Encoding": "gzip"}).content == plain.content


@pytest.mark.parametrize("path", ["/", "/health", VELOCITY, "/openapi.json", "/nowhere"])
def test_head_is_get_without_the_body(client, path):
    whole, head = client.get(path), client.request("HEAD", path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    for name in ("X-Request-ID", "Server-Timing"):
        assert head.headers.pop(name) != whole.headers.pop(name)
    assert head.headers == whole.headers
    assert int(head.headers["content-length"]) > 0


def test_every_response_has_a_request_id_and_timings(client, no_database, monkeypatch):
    answers = [client.get(VELOCITY), client.get("/no"), client.get("/metrics/team/x/velocity")]
    monkeypatch.setattr(Marts, "of_one_build", lambda *_: 1 / 0)
    answers.append(no_database.get(VELOCITY))
    assert [answer.status_code for answer in answers] == [200, 404, 404, 500]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 4
    for answer in answers:
        times = dict(part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
        assert 0 <= float(times["db"]) <= float(times["total"])
    assert "db;dur=0.00" not in answers[0].headers["server-timing"]


@pytest.mark.parametrize(
    ("given", "is_kept"), [("Root=1-5e/x+:.", True), ("a\tb", False), ("x" * 129, False)]
)
def test_request_id_of_the_caller_is_kept_if_safe_to_log(anonymous, given, is_kept):
    answer = anonymous.get("/health", headers={"X-Request-ID": given})
    assert (answer.headers["x-request-id"] == given) == is_kept


def test_each_request_is_logged_and_every_line_has_its_id(client, caplog):
    caplog.set_level(logging.INFO, "api")
    answer = client.get(
        VELOCITY + "%0Afake", params={"from": "x"}, headers={"X-Request-ID": "mine"}
    )
    Client(client._app, key="wrong").get("/teams", headers={"X-Request-ID": "theirs"})
    lines = [(record.request_id, record.getMessage()) for record in caplog.records]
    assert lines == [
        ("mine", f"GET {VELOCITY}%0Afake {answer.status_code}"),
        ("theirs", "An unknown API key came from 192.0.2.1"),
        ("theirs", "GET /teams 401"),
    ]
    assert ALL_KEY not in caplog.text


def test_log_contains_the_name_of_the_key(client, caplog):
    caplog.set_level(logging.INFO, "api")
    client.get(VELOCITY)
    (line,) = caplog.records
    assert line.reader == "all"
    assert line.milliseconds >= line.database_milliseconds > 0


def test_unexpected_error_is_logged_with_the_request_id(no_database, caplog, monkeypatch):
    monkeypatch.setattr(Marts, "of_one_build", lambda *_: 1 / 0)
    no_database.get(VELOCITY, headers={"X-Request-ID": "mine"})
    told = [record for record in caplog.records if record.exc_info]
    assert [record.request_id for record in told] == ["mine"]
    assert "ZeroDivisionError" in caplog.text
