import pytest
from api_support import Client

from api.app import create_app
from api.database import Marts

VELOCITY = "/metrics/team/web/velocity"
PULL_REQUESTS = "/metrics/team/web/pull-requests"


def assert_problem(answer, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["instance"] == answer.request.url.path
    return problem


@pytest.mark.parametrize(
    "figure", ["velocity", "lead-time", "delivery", "deployments", "pull-requests", "reviews"]
)
def test_unknown_team_returns_404(client, figure):
    for team in ["nobody", "unassigned", "WEB", "w%00b", "%F0%9F%9A%80", "x" * 5000]:
        assert_problem(client.get(f"/metrics/team/{team}/{figure}"), 404)


@pytest.mark.parametrize("path", ["/nowhere", "/metrics/team/web", "/assets/nothing.js"])
def test_unknown_path_returns_404(no_database, path):
    answer = no_database.get(path)
    assert_problem(answer, 404)
    assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize(
    ("path", "location"),
    [
        pytest.param("/teams/", "../teams", id="path"),
        pytest.param("/docs/?x=1", "../docs?x=1", id="query"),
        pytest.param("/metrics/team/a%20b%25/velocity/", "../velocity", id="deep"),
        pytest.param("/a%20b%25%3F/", "../a%20b%25%3F", id="quoted"),
        pytest.param("//example.com/", "../example.com", id="not another host"),
        pytest.param("/teams//", "../", id="two slashes"),
    ],
)
def test_trailing_slash_redirects_to_the_path_without_it(no_database, path, location):
    answer = no_database.get(f"http://127.0.0.1{path}")
    # Relative, because a proxy may change the scheme, host and prefix that the API sees.
    assert (answer.status_code, answer.headers["location"]) == (307, location)


def test_redirect_keeps_the_query(client):
    answer = client.get("/metrics/team/web/velocity/?from=2026-01-05", follow_redirects=True)
    assert answer.status_code == 200
    assert answer.json()["from"] == "2026-01-05"


def test_unknown_path_with_trailing_slash_returns_404(no_database):
    assert_problem(no_database.get("/nowhere/", follow_redirects=True), 404)


@pytest.mark.parametrize("path", ["/teams", VELOCITY, "/health"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_unsupported_method_returns_405(no_database, method, path):
    answer = no_database.request(method, path)
    assert_problem(answer, 405)
    assert answer.headers["allow"] == "GET"


BAD_DATES = ["", "yesterday", "2026-02-30", "2026-1-1", "20260101", "2026-W01-1", "0000-01-01"]
BAD_DATES += ["10000-01-01", "-2026-01-01", "1767225600", "2026-01-01T00:00:00", "2026-01-01 "]
BAD_DATES += [
    "\uff12\uff10\uff12\uff16-01-01",
    "infinity",
    "NaN",
    "2026-01-01' or '1'='1",
    "\x00",
    "x" * 5000,
]


@pytest.mark.parametrize("parameter", ["from", "to"])
@pytest.mark.parametrize("value", BAD_DATES)
@pytest.mark.parametrize(
    "figure", ["velocity", "lead-time", "delivery", "deployments", "pull-requests", "reviews"]
)
def test_bad_date_is_refused_and_named(no_database, figure, parameter, value):
    answer = no_database.get(f"/metrics/team/web/{figure}", params={parameter: value})
    problem = assert_problem(answer, 422)
    assert problem["parameter"] == parameter
    assert [fault["parameter"] for fault in problem["errors"]] == [parameter]
    assert parameter in problem["detail"]


@pytest.mark.parametrize("value", ["0", "-1", "1001", "ten", "1.5", "", "1e9", "9" * 100, "1;drop"])
def test_bad_limit_is_refused_and_named(no_database, value):
    problem = assert_problem(no_database.get(PULL_REQUESTS, params={"limit": value}), 422)
    assert problem["parameter"] == "limit"


def test_from_after_to_is_refused(no_database):
    answer = no_database.get(VELOCITY, params={"from": "2026-02-01", "to": "2026-01-01"})
    problem = assert_problem(answer, 422)
    assert problem["parameter"] == "from"
    assert "2026-02-01" in problem["detail"]
    assert "2026-01-01" in problem["detail"]


def test_every_invalid_parameter_is_named(no_database):
    parameters = {"from": "x", "to": "y", "limit": "z"}
    problem = assert_problem(no_database.get(PULL_REQUESTS, params=parameters), 422)
    assert {fault["parameter"] for fault in problem["errors"]} == {"from", "to", "limit"}


INJECTIONS = [
    "web' or '1'='1",
    "web'; drop table marts.dim_teams; --",
    "' union select null, 'web', 'Web', null --",
    "web\\'; select pg_sleep(5) --",
    "%(team_id)s",
    "$1",
    "{}",
    "%s%s%s",
]


@pytest.mark.parametrize(
    "figure", ["velocity", "lead-time", "delivery", "deployments", "pull-requests", "reviews"]
)
def test_sql_in_a_team_id_returns_404(client, figure):
    for text in INJECTIONS:
        quoted = text.replace("%", "%25")
        assert_problem(client.get(f"/metrics/team/{quoted}/{figure}"), 404)
    assert len(client.get("/teams").json()["data"]) == 2


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("parameter", ["from", "to", "limit", "cursor"])
def test_sql_in_a_parameter_is_refused(no_database, parameter, text):
    assert_problem(no_database.get(PULL_REQUESTS, params={parameter: text}), 422)


def test_unexpected_error_reveals_no_internals(no_database, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(Marts, "of_one_build", broken)
    problem = assert_problem(no_database.get(VELOCITY), 500)
    assert "hunter2" not in str(problem)
    assert "RuntimeError" not in str(problem)


def test_configuration_fault_appears_only_in_the_log(monkeypatch, caplog, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("API_KEYS", '[{"name": "ci", "sha256": "not-a-digest", "teams": "*"}]')
    problem = assert_problem(Client(create_app()).get("/teams"), 500)
    assert "API_KEYS[0].sha256" not in str(problem)
    assert "API_KEYS[0].sha256" in caplog.text
    assert "not-a-digest" not in caplog.text


FILTERS = ["repository", "label", "base"]
PATHS = {
    "/health": [],
    "/teams": [],
    "/groups": [],
    VELOCITY: ["from", "to", *FILTERS],
    "/metrics/team/web/lead-time": ["from", "to", *FILTERS],
    "/metrics/team/web/delivery": ["unit", "from", "to"],
    "/metrics/team/web/deployments": ["limit", "cursor", "from", "to"],
    PULL_REQUESTS: ["state", "limit", "cursor", "from", "to", *FILTERS],
    "/metrics/compare?team=web": ["figures", "unit", "team", "from", "to"],
    "/metrics/trends": ["verdict", "team"],
}


def asked(path: str, query: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{query}"


@pytest.mark.parametrize("name", ["person", "reviewer", "since", "format", "x" * 5000, ""])
@pytest.mark.parametrize("path", PATHS)
def test_unknown_parameter_is_refused_and_named(no_database, path, name):
    problem = assert_problem(no_database.get(asked(path, f"{name}=csv")), 422)
    assert problem["parameter"] == name
    assert "is unknown" in problem["detail"]
    assert "did you mean" not in problem["detail"]


@pytest.mark.parametrize("path", PATHS)
def test_unknown_parameter_lists_the_known_parameters(no_database, path):
    problem = assert_problem(no_database.get(asked(path, "person=ada")), 422)
    takes = ", ".join(PATHS[path]) or "no parameters"
    assert problem["detail"] == f"person: is unknown; this path takes {takes}"


@pytest.mark.parametrize(
    ("path", "name", "nearest"),
    [
        (VELOCITY, "From", "from"),
        (VELOCITY, "form", "from"),
        (VELOCITY, "TO", "to"),
        (PULL_REQUESTS, "limits", "limit"),
        (PULL_REQUESTS, "next_cursor", "cursor"),
        ("/metrics/compare?team=web", "team_id", "team"),
    ],
)
def test_unknown_parameter_suggests_the_nearest_known_one(no_database, path, name, nearest):
    problem = assert_problem(no_database.get(asked(path, f"{name}=1")), 422)
    assert problem["detail"] == f"{name}: is unknown; did you mean {nearest}?"


def test_format_parameter_suggests_the_accept_header(no_database):
    problem = assert_problem(no_database.get(f"{VELOCITY}?format=csv"), 422)
    assert problem["detail"].endswith("for CSV, send the header Accept: text/csv")


@pytest.mark.parametrize(
    "query",
    ["from=2026-01-01&from=2026-01-01", "limit=1&limit=2&from=2026-01-01", "cursor=&cursor="],
)
def test_repeated_parameter_is_refused_and_named(no_database, query):
    problem = assert_problem(no_database.get(f"{PULL_REQUESTS}?{query}"), 422)
    assert problem["parameter"] == query.partition("=")[0]
    assert "is given 2 times; give it once" in problem["detail"]


def test_bad_values_and_unknown_names_are_reported_together(no_database):
    problem = assert_problem(no_database.get(f"{PULL_REQUESTS}?From=x&to=y&limit=z&limit=z"), 422)
    assert [fault["parameter"] for fault in problem["errors"]] == ["to", "limit", "From", "limit"]
    wrong_way_round = "from=2026-02-01&to=2026-01-01&since=1"
    problem = assert_problem(no_database.get(f"{VELOCITY}?{wrong_way_round}"), 422)
    assert [fault["parameter"] for fault in problem["errors"]] == ["from", "since"]


def test_at_most_ten_unknown_names_are_reported(no_database):
    names = "&".join(f"n{number}" for number in range(5000))
    problem = assert_problem(no_database.get(f"/health?{names}"), 422)
    assert len(problem["errors"]) == 10


def test_key_is_checked_before_parameters(anonymous):
    assert_problem(anonymous.get("/teams?x=1"), 401)


def test_unknown_parameter_of_openapi_json_is_refused(no_database):
    problem = assert_problem(no_database.get("/openapi.json?format=yaml"), 422)
    assert problem["parameter"] == "format"


@pytest.mark.parametrize("path", ["/?team=web&week=2026-01-05&utm_source=x", "/docs?x=1"])
def test_pages_accept_any_query(no_database, path):
    assert no_database.get(path, headers={"Accept": "text/html"}).status_code == 200
