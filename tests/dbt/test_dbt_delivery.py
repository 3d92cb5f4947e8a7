"""The worked examples of docs/delivery.md, with every figure copied from that page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import delivery_github
import pytest
from dbt_support import Row, Warehouse, membership, new_warehouse, pull_request, repository

from api.app import create_app
from dora.embedded_postgres import Embedded
from ingest.commit_graph import Graph
from tests.api.api_support import Client, settings_for


def at(moment: str) -> str:
    """`2d 08:00` is 2 March."""
    day, clock = moment.split("d ")
    return f"2026-03-{int(day):02}T{clock}Z"


class Example:
    """A separate world: teams, people and a repository, with deployments.

    `mN` is the commit of pull request N on the default branch. Ada is in `core` at 1, Bob in `web`
    at 0.5, Eve in no team. Deployment `B` of `m0` on 1 March is the first.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"acme/example{number}"
        self.repository_id = f"R_{number}"
        self.parents: dict[str, list[str]] = {"m0": []}
        self.tip = "m0"
        self.rows: dict[str, list[Row]] = {
            "repositories": [
                repository(self.name, id=self.repository_id, covered_to="2026-03-31T00:00Z")
            ],
            "teams": [{"team_id": f"{team}{number}", "name": team} for team in ("core", "web")],
            "team_memberships": [
                membership(f"core{number}", f"ada{number}", "1.0", "2026-01-01T00:00Z"),
                membership(f"web{number}", f"bob{number}", "0.5", "2026-01-01T00:00Z"),
            ],
            "delivery_coverage": [
                {
                    "repository_id": self.repository_id,
                    "kind": kind,
                    "covered_to": "2026-03-31T00:00Z",
                }
                for kind in ("deployments", "commits", "pull_request_files")
            ],
            "pull_requests": [],
            "pull_request_files": [],
            "deployments": [],
            "deployment_statuses": [],
            "incidents": [],
        }

    def id(self, name: object) -> str:
        return f"{self.name} {name}"

    def change(self, number: int, author: str, begun: str, merged: str, **more: Any) -> None:
        """A pull request whose merge is the next commit of the default branch, unless `beside`."""
        commit, parents = f"m{number}", more.pop("parents", [self.tip])
        if folder := more.pop("folder", None):
            self.rows["pull_request_files"].append(
                {
                    "pull_request_id": self.id(number),
                    "repository_id": self.repository_id,
                    "paths": [f"{folder}/file_0.py"],
                    "is_complete": True,
                }
            )
        if not more.pop("beside", False):
            self.tip = commit
        self.parents[commit] = parents
        self.rows["pull_requests"].append(
            pull_request(number, f"{author}{self.number}", at(begun), at(merged))
            | {
                "id": self.id(number),
                "repository_id": self.repository_id,
                "repository": self.name,
                "merge_commit_sha": self.sha(commit),
            }
            | more
        )

    def sha(self, commit: str) -> str:
        return f"{self.number}{commit}".encode().hex().rjust(40, "0")

    def deploy(
        self, name: str, commit: str, succeeded: str, requested: str | None = None, **more: Any
    ) -> None:
        """A deployment to production, by default requested five minutes earlier."""
        statuses = more.pop("statuses", [("SUCCESS", succeeded)])
        self.rows["deployments"].append(
            {
                "id": self.id(name),
                "repository_id": self.repository_id,
                "environment": "production",
                "task": "deploy",
                "commit_sha": self.sha(commit),
                "created_at": at(requested or succeeded),
            }
            | more
        )
        self.rows["deployment_statuses"] += [
            {
                "id": self.id(f"{name} {position}"),
                "deployment_id": self.id(name),
                "state": state,
                "created_at": at(moment),
                "position": position,
            }
            for position, (state, moment) in enumerate(statuses)
        ]

    def incident(self, name: str, started: str, resolved: str | None, **more: Any) -> None:
        self.rows["incidents"].append(
            {
                "source": "file",
                "id": self.id(name),
                "repository": self.name,
                "started_at": at(started),
                "resolved_at": resolved and at(resolved),
            }
            | more
        )

    def insert(self, warehouse: Warehouse) -> None:
        graph = Graph(
            [(self.sha(one), [self.sha(p) for p in ps]) for one, ps in self.parents.items()],
            self.sha(self.tip),
        )
        commits = [
            {
                "repository_id": self.repository_id,
                "sha": sha,
                "parents": "",
                "committed_at": "2026-03-01T00:00Z",
            }
            | place._asdict()
            for sha, place in graph.places()
        ]
        warehouse.insert(**self.rows, commits=commits)


def example_1() -> Example:
    """A batch, weights."""
    x = Example(1)
    x.change(1, "ada", "2d 08:00", "2d 10:00")
    x.change(2, "bob", "2d 09:00", "2d 11:00")
    x.change(3, "eve", "2d 09:00", "2d 12:00")
    x.deploy("D1", "m3", "2d 13:30")
    return x


def example_2() -> Example:
    """Merged while a deployment ran; second region; re-run."""
    x = Example(2)
    x.change(1, "ada", "2d 08:00", "2d 10:00")
    x.change(2, "ada", "2d 08:00", "2d 10:02")
    x.deploy("D1", "m1", "2d 10:10", "2d 10:01")
    x.deploy("D1'", "m1", "2d 10:20", "2d 10:01", environment="prod-us")
    x.deploy("D1''", "m1", "3d 09:05", "3d 09:00")
    x.deploy("D2", "m2", "4d 08:30", "4d 08:00")
    return x


def example_3() -> Example:
    """Failed, waited, inactive."""
    x = Example(3)
    x.change(1, "ada", "2d 08:00", "2d 10:00")
    x.deploy("D1", "m1", "2d 10:30", statuses=[("FAILURE", "2d 10:30")])
    x.deploy(
        "D2",
        "m1",
        "2d 11:00",
        statuses=[("QUEUED", "2d 11:00"), ("SUCCESS", "4d 16:00"), ("INACTIVE", "20d 09:00")],
    )
    return x


def example_4() -> Example:
    """Rollback and forward again."""
    x = Example(4)
    x.change(1, "ada", "2d 08:00", "2d 09:00")
    x.change(2, "bob", "2d 08:00", "2d 12:00")
    x.change(3, "ada", "2d 15:00", "2d 16:00")
    x.deploy("D1", "m1", "2d 10:00")
    x.deploy("D2", "m2", "2d 13:00")
    x.deploy("R", "m1", "2d 14:15", "2d 14:10")
    x.deploy("D3", "m3", "2d 17:00")
    return x


def example_4_over_two() -> Example:
    x = Example(40)
    x.change(1, "ada", "2d 08:00", "2d 09:00")
    x.change(2, "bob", "2d 08:00", "2d 10:00")
    x.change(3, "ada", "2d 08:00", "2d 11:00")
    x.deploy("D1", "m1", "2d 09:15")
    x.deploy("D2", "m2", "2d 10:15")
    x.deploy("D3", "m3", "2d 11:15")
    x.deploy("R", "m1", "2d 12:15")
    x.deploy("D4", "m3", "3d 09:00")
    return x


def example_5() -> Example:
    """Overtaken."""
    x = Example(5)
    x.change(1, "ada", "2d 08:00", "2d 09:00")
    x.change(2, "ada", "2d 08:30", "2d 09:05")
    x.deploy("D1", "m1", "2d 09:30", "2d 09:01")
    x.deploy("D2", "m2", "2d 09:20", "2d 09:06")
    return x


def example_6() -> Example:
    """Another branch; not deployed."""
    x = Example(6)
    x.change(1, "ada", "2d 08:00", "2d 10:00")
    x.change(7, "bob", "2d 08:00", "2d 12:00", parents=["m0"], beside=True)
    x.change(2, "ada", "2d 08:00", "3d 10:00", parents=["m1", "m7"])
    x.change(3, "ada", "4d 08:00", "5d 10:00")
    x.deploy("D1", "m1", "2d 11:00")
    x.deploy("D2", "m2", "3d 11:00")
    return x


def example_7() -> Example:
    """Release branch."""
    x = Example(7)
    x.change(1, "ada", "2d 08:00", "2d 10:00")
    x.change(2, "ada", "2d 09:00", "2d 12:00")
    x.change(3, "bob", "3d 09:00", "3d 10:00")
    x.change(8, "bob", "3d 11:00", "3d 12:00", parents=["m1"], beside=True)
    x.deploy("D1", "m1", "2d 11:00")
    x.deploy("D2", "m8", "3d 13:00")
    x.deploy("D3", "m3", "6d 10:00")
    return x


def example_8() -> Example:
    """Revert, revert of a revert, both at once."""
    x = Example(8)
    for number, author, reverts in (
        (1, "ada", None),
        (2, "bob", None),
        (3, "bob", "#1"),
        (4, "ada", "#3"),
        (5, "ada", None),
        (6, "ada", "#5"),
    ):
        x.change(number, author, "2d 08:00", "2d 09:00", reverts=reverts)
    x.deploy("D1", "m2", "2d 10:00")
    x.deploy("D2", "m3", "3d 10:30")
    x.deploy("D3", "m4", "4d 10:00")
    x.deploy("D4", "m6", "5d 10:00")
    return x


def example_9() -> Example:
    """An incident over several deployments."""
    x = Example(9)
    x.change(1, "ada", "2d 08:00", "2d 09:00")
    x.change(2, "bob", "2d 08:00", "2d 11:00")
    x.change(3, "ada", "2d 12:00", "2d 13:00")
    x.deploy("D1", "m1", "2d 09:30")
    x.deploy("D2", "m2", "2d 11:30")
    x.deploy("D3", "m3", "2d 13:40")
    x.incident("I", "2d 10:00", "2d 13:00", fixed_by="#3")
    return x


def example_10() -> Example:
    """Incidents without a deployment to blame."""
    x = Example(10)
    x.change(1, "ada", "2d 08:00", "2d 09:00")
    x.deploy("D1", "m1", "2d 09:30")
    x.incident("before any", "1d 08:00", "1d 09:00")
    x.incident("before the first change", "2d 08:00", "2d 09:00")
    x.incident("too late", "9d 09:31", "9d 10:00")
    return x


def example_11() -> Example:
    """Two services."""
    x = Example(11)
    x.change(1, "ada", "2d 09:00", "2d 10:00", labels=["svc:api"])
    x.change(2, "ada", "2d 10:00", "2d 11:00", labels=[])
    return deploy_services(x)


def example_11_by_paths() -> Example:
    """Two services, whose changes are told apart by their files."""
    x = Example(110)
    x.change(1, "ada", "2d 09:00", "2d 10:00", folder="services/api_1/http")
    x.change(2, "ada", "2d 10:00", "2d 11:00", folder="services/api-1")
    return deploy_services(x)


def deploy_services(x: Example) -> Example:
    x.deploy("W0", "m0", "1d 12:05", environment="web-prod")
    x.deploy("A0", "m0", "1d 12:05", environment="api-prod")
    x.deploy("W1", "m1", "2d 10:30", environment="web-prod")
    x.deploy("W2", "m2", "2d 11:30", environment="web-prod")
    x.deploy("A1", "m1", "2d 15:00", environment="api-prod")
    x.deploy("A2", "m2", "2d 16:00", environment="api-prod")
    return x


def example_12() -> Example:
    """Measured, and nothing deployed this week."""
    x = Example(12)
    x.change(1, "ada", "1d 08:00", "1d 09:00")
    x.deploy("D1", "m1", "1d 13:00")
    return x


def example_12_without() -> Example:
    """Nothing to measure."""
    x = Example(120)
    x.change(1, "ada", "2d 08:00", "2d 09:00")
    return x


EXAMPLES = (
    example_1,
    example_2,
    example_3,
    example_4,
    example_4_over_two,
    example_5,
    example_6,
    example_7,
    example_8,
    example_9,
    example_10,
    example_11,
    example_11_by_paths,
    example_12,
    example_12_without,
)
RULES = [
    {"repositories": ["*"]},
    {"repositories": ["*/example11", "*/example110"], "environment": "^never$"},
    {
        "repositories": ["acme/example11"],
        "target": "api",
        "environment": "^api-prod$",
        "labels": ["svc:api"],
    },
    {
        "repositories": ["acme/example11"],
        "target": "web",
        "environment": "^web-prod$",
        "labels": ["svc:web"],
    },
    {
        "repositories": ["acme/example110"],
        "target": "api",
        "environment": "^api-prod$",
        "paths": ["services/api_1/**"],
    },
    {
        "repositories": ["acme/example110"],
        "target": "web",
        "environment": "^web-prod$",
        "paths": ["services/web/**", "*.css"],
    },
]


@pytest.fixture(scope="module", params=["rows", "ingest"])
def built(
    request: pytest.FixtureRequest,
    server: Embedded,
    target: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Warehouse]:
    """The examples, written to `raw` or loaded from a simulated GitHub."""
    examples = [make() for make in EXAMPLES]
    for example in examples:
        if example.number not in (11, 110, 120):
            example.deploy("B", "m0", "1d 12:05")
    from_rows = request.param == "rows"
    with new_warehouse(server, target, has_raw=from_rows) as warehouse:
        if from_rows:
            warehouse.insert(settings=[{"name": "deployments", "value": RULES}])
            for example in examples:
                example.insert(warehouse)
        else:
            delivery_github.load(
                examples, RULES, warehouse.database, tmp_path_factory.mktemp("home")
            )
        warehouse.build()
        yield warehouse


def week(warehouse: Warehouse, team_id: str) -> Row:
    (row,) = warehouse.rows(
        "select * from marts.fct_team_delivery_weekly where team_id = %s and week = '2026-03-02'",
        [team_id],
    )
    return row


# The expected row of the week of 2 March, by example and team.
FIGURES: dict[str, dict[str, Any]] = {
    "core1": {
        "deployments": 1,
        "weighted_deployments": 1 / 3,
        "median_change_lead_time_hours": 5.5,
    },
    "web1": {"deployments": 1, "weighted_deployments": 1 / 6, "median_change_lead_time_hours": 4.5},
    "core2": {
        "deployments": 2,
        "changes_deployed": 2,
        "median_change_lead_time_hours": (130 / 60 + 48.5) / 2,
        "weighted_median_change_lead_time_hours": 130 / 60,
    },
    "core3": {"deployments": 1, "median_change_lead_time_hours": 56, "change_fail_rate": 0},
    "web4": {
        "deployments": 2,
        "weighted_deployments": 0.75,
        "rollbacks": 1,
        "change_fail_rate": 1 / 2,
        "weighted_change_fail_rate": 2 / 3,
        "deployment_rework_rate": 1 / 3,
        "median_recovery_hours": 1.25,
        "median_change_lead_time_hours": 5.0,
    },
    "core4": {
        "deployments": 2,
        "weighted_deployments": 1.5,
        "change_fail_rate": 0,
        "rollbacks": 0,
        "median_recovery_hours": None,
    },
    "core40": {
        "deployments": 3,
        "failed_deployments": 0,
        "rollbacks": 1,
        "rework_deployments": 2,
        "deployment_rework_rate": 2 / 4,
    },
    "web40": {
        "deployments": 2,
        "change_fail_rate": 1 / 2,
        "deployment_rework_rate": 2 / 3,
        "median_recovery_hours": 2.0,
    },
    "core5": {
        "deployments": 1,
        "failed_deployments": 0,
        "rollbacks": 0,
        "median_change_lead_time_hours": (80 + 50) / 2 / 60,
        "p95_change_lead_time_hours": 50 / 60 + 0.95 * 0.5,
    },
    "core6": {
        "deployments": 2,
        "weighted_deployments": 1.5,
        "changes_deployed": 2,
        "median_change_lead_time_hours": 15,
        "p95_change_lead_time_hours": 3 + 0.95 * 24,
    },
    "web6": {"deployments": 1, "weighted_deployments": 1 / 4, "median_change_lead_time_hours": 27},
    "core7": {
        "weighted_deployments": 3 / 2,
        "median_change_lead_time_hours": 50,
        "weighted_p95_change_lead_time_hours": 97,
    },
    "web7": {
        "weighted_deployments": 3 / 4,
        "median_change_lead_time_hours": 37.5,
        "weighted_median_change_lead_time_hours": 2,
        "weighted_p95_change_lead_time_hours": 73,
    },
    "core8": {
        "deployments": 3,
        "weighted_deployments": 2.5,
        "change_fail_rate": 1 / 3,
        "weighted_change_fail_rate": 1 / 5,
        "median_recovery_hours": 24.5,
    },
    "web8": {
        "deployments": 2,
        "weighted_deployments": 0.75,
        "change_fail_rate": 1 / 2,
        "weighted_change_fail_rate": 1 / 3,
        "deployment_rework_rate": 1 / 2,
    },
    "core9": {
        "deployments": 2,
        "change_fail_rate": 1 / 2,
        "deployment_rework_rate": 1 / 2,
        "median_recovery_hours": 4 + 10 / 60,
    },
    "core10": {"deployments": 1, "change_fail_rate": 0, "median_recovery_hours": None},
    "core12": {
        "deployments": 0,
        "weighted_deployments": 0,
        "change_fail_rate": None,
        "deployment_rework_rate": None,
        "median_change_lead_time_hours": None,
        "median_recovery_hours": None,
    },
    "core120": {"deployments": None, "weighted_deployments": None, "changes_deployed": None},
}


@pytest.mark.parametrize("team_id", FIGURES)
def test_a_week_of_a_worked_example(built: Warehouse, team_id: str) -> None:
    row = week(built, team_id)
    wanted = FIGURES[team_id]
    assert {name: row[name] for name in wanted} == {
        name: value if value is None else pytest.approx(value) for name, value in wanted.items()
    }


def test_api_returns_the_same_figures(built: Warehouse) -> None:
    app = create_app(settings_for(built.database.url))
    client = Client(app)
    days = {"from": "2026-03-02", "to": "2026-03-08"}
    for team_id, wanted in FIGURES.items():
        answer = client.get(f"/metrics/team/{team_id}/delivery", params=days)
        (row,) = answer.json()["data"]
        assert {name: row[name] for name in wanted} == {
            name: value if value is None else pytest.approx(value) for name, value in wanted.items()
        }, team_id
    app.state.marts.close()


def kinds(warehouse: Warehouse, number: int) -> dict[str, str]:
    rows = warehouse.rows(
        "select deployment_id, kind from marts.fct_deployments where repository = %s",
        [f"acme/example{number}"],
    )
    return {str(row["deployment_id"]).split()[1]: str(row["kind"]) for row in rows}


def test_kinds_of_deployments(built: Warehouse) -> None:
    assert kinds(built, 2) == {
        "B": "first",
        "D1": "deploy",
        "D1'": "redeploy",
        "D1''": "redeploy",
        "D2": "deploy",
    }
    assert kinds(built, 3) == {"B": "first", "D2": "deploy"}
    assert kinds(built, 4)["R"] == "rollback"
    assert kinds(built, 5) == {"B": "first", "D2": "deploy", "D1": "overtaken"}
    assert set(kinds(built, 7).values()) == {"first", "deploy"}


def failures(warehouse: Warehouse, number: int) -> dict[str, tuple[list[str], float | None]]:
    rows = warehouse.rows(
        """
        select deployment_id, failure_causes, recovery_hours
        from marts.fct_deployments
        where repository = %s and is_failed
        """,
        [f"acme/example{number}"],
    )
    return {
        str(row["deployment_id"]).split()[1]: (row["failure_causes"], row["recovery_hours"])
        for row in rows
    }


def test_failed_deployments_with_their_causes(built: Warehouse) -> None:
    assert failures(built, 4) == {"D2": (["rollback"], 1.25)}
    assert failures(built, 40) == {"D2": (["rollback"], 2.0)}
    assert failures(built, 8) == {"D1": (["revert"], 24.5)}
    assert failures(built, 9) == {"D1": (["incident"], pytest.approx(4 + 10 / 60))}
    assert {number: failures(built, number) for number in (1, 2, 3, 5, 6, 7, 10, 11, 12)} == {
        number: {} for number in (1, 2, 3, 5, 6, 7, 10, 11, 12)
    }


def test_incidents_without_a_deployment_are_listed_with_a_reason(built: Warehouse) -> None:
    rows = built.rows(
        "select * from marts.fct_incidents where repository = 'acme/example10' order by started_at"
    )
    assert [(row["deployment_id"], row["not_linked_reason"]) for row in rows] == [
        (None, "before_first_deployment"),
        (None, "no_deployment_to_blame"),
        (None, "outside_window"),
    ]


def changes(warehouse: Warehouse, number: int) -> dict[int, tuple[float | None, str | None]]:
    rows = warehouse.rows(
        """
        select number, change_lead_time_hours, not_deployed_reason
        from marts.fct_pull_requests
        where repository = %s
        """,
        [f"acme/example{number}"],
    )
    return {
        row["number"]: (row["change_lead_time_hours"], row["not_deployed_reason"]) for row in rows
    }


def test_changes_have_a_deployment_or_a_reason(built: Warehouse) -> None:
    assert changes(built, 6) == {
        1: (3, None),
        7: (27, None),
        2: (27, None),
        3: (None, "not_deployed"),
    }
    assert changes(built, 7) == {1: (3, None), 8: (2, None), 2: (97, None), 3: (73, None)}
    assert changes(built, 11) == changes(built, 110) == {1: (6, None), 2: (1.5, None)}
    assert changes(built, 120) == {1: (None, "not_measured")}


def test_shares_of_a_deployment_add_up(built: Warehouse) -> None:
    rows = built.rows(
        "select team_id, share from marts.fct_team_deployments where deployment_id = %s",
        ["acme/example1 D1"],
    )
    assert {row["team_id"]: row["share"] for row in rows} == {
        "core1": pytest.approx(1 / 3),
        "web1": pytest.approx(1 / 6),
        "unassigned": pytest.approx(1 / 6),
    }
