"""`dora build`: counts and warnings from dbt's events."""

from types import SimpleNamespace
from typing import Any

import pytest

from cli.build import Watch
from cli.console import bars


def event(name: str, status: str) -> Any:
    node = SimpleNamespace(node_name="a_node")
    data = SimpleNamespace(status=status, total=1, num_models=1, num_failures=2, node_info=node)
    return SimpleNamespace(info=SimpleNamespace(name=name), data=data)


@pytest.mark.parametrize("tag", ["INSERT 0 5", "DELETE 3", "CREATE VIEW", "COMMIT", "UPDATE 1"])
def test_model_with_any_command_tag_counts_as_built(tag: str) -> None:
    with bars() as progress:
        watch = Watch(progress, "dbt build")
        watch.on_event(event("LogModelResult", tag))
    assert dict(watch.statuses) == {"model": 1}


def test_dbt_test_results_are_counted_by_their_status() -> None:
    with bars() as progress:
        watch = Watch(progress, "dbt build")
        for status in ("pass", "warn", "fail", "error", "skip"):
            watch.on_event(event("LogTestResult", status))
    assert dict(watch.statuses) == dict.fromkeys(("pass", "warn", "fail", "error", "skip"), 1)
    assert watch.warnings == ["a_node: 2 rows"]
