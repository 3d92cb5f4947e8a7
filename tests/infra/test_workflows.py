"""Rules for the GitHub workflows that actionlint does not check (`make lint-workflows`)."""

import re
from typing import Any

import pytest
import yaml

from transform.dbt_runner import ROOT

FOLDER = ROOT / ".github" / "workflows"
PATHS = sorted(FOLDER.glob("*.yml"))
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def workflow(name: str) -> dict[str, Any]:
    # YAML reads the key `on` as a boolean.
    return dict(yaml.safe_load((FOLDER / f"{name}.yml").read_text("utf-8")))


def steps(name: str) -> list[str]:
    jobs = workflow(name)["jobs"].values()
    return [step.get("run", "") for job in jobs for step in job.get("steps", [])]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_third_party_actions_are_pinned_by_commit(path: Any) -> None:
    uses = [line.strip() for line in path.read_text("utf-8").splitlines() if "uses:" in line]
    assert uses
    for line in uses:
        if "./.github/" not in line:
            assert PINNED.search(line), line


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_and_uses_no_stored_aws_key(path: Any) -> None:
    assert workflow(path.stem)["permissions"] == {"contents": "read"}
    text = path.read_text("utf-8")
    assert "aws-access-key-id" not in text
    assert set(re.findall(r"secrets\.(\w+)", text)) <= {"SMOKE_API_KEY"}


def test_a_pull_request_is_linted_tested_and_synthesised() -> None:
    assert "pull_request" in workflow("ci")[True]
    assert "make ci" in steps("ci")
    assert "\nmake ci\n" in (ROOT / ".ci" / "run").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (targets,) = re.findall(r"^ci: ([a-z -]+) ##", makefile, re.MULTILINE)
    assert {"lint", "lint-workflows", "synth", "test"} <= set(targets.split())


def test_every_make_target_in_a_workflow_exists() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for path in PATHS:
        for step in steps(path.stem):
            for command in re.findall(r"^make (.*)$", step):
                names = [name for name in command.split() if "=" not in name]
                assert set(names) <= {*targets, ".venv/.ready"}, command


def test_prod_gets_the_version_that_passed_staging() -> None:
    jobs = workflow("deploy")["jobs"]
    assert jobs["package"]["runs-on"].endswith("-arm")
    assert (jobs["staging"]["needs"], jobs["prod"]["needs"]) == ("package", "staging")
    assert [jobs[stage]["with"] for stage in ("staging", "prod")] == [
        {"stage": stage, "version": jobs["prod"]["with"]["version"]}
        for stage in ("staging", "prod")
    ]
    deploy = workflow("deploy-stage")["jobs"]["deploy"]
    # The role trusts only this environment, and a person approves the one of prod.
    assert deploy["environment"] == "${{ inputs.stage }}"
    assert deploy["permissions"]["id-token"] == "write"
    commands = [step for step in steps("deploy-stage") if step]
    assert [command.split()[0] for command in commands[-2:]] == ["make", ".venv/bin/python"]
    assert "infra.smoke" in commands[-1]


def test_an_earlier_version_can_be_deployed_again() -> None:
    asked = workflow("deploy")[True]["workflow_dispatch"]["inputs"]
    assert asked["version"]["required"] is True
    [checkout, *_] = workflow("deploy")["jobs"]["package"]["steps"]
    assert checkout["with"]["ref"] == "${{ inputs.version || github.sha }}"
