"""docs/operations.md agrees with the templates."""

import json
import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from stack_templates import Template

from transform.dbt_runner import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
DEPLOY = (ROOT / "docs" / "deploy.md").read_text("utf-8")
TIMES = "\N{MULTIPLICATION SIGN}"
PRODUCT = re.compile(rf"([\d,]+) {TIMES} ([\d.]+) = ([\d.]+)")
# The stage of each column of the cost table.
COLUMNS = ("staging", "prod", "there")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def costs() -> dict[str, list[str]]:
    """Return the rows of the cost table: each column has the calculation of one stage."""
    table = PAGE.partition("## What it costs")[2]
    rows = [cells(line) for line in table.splitlines() if line.startswith("|")]
    return {name: amounts for name, *amounts in rows[2:]}


def test_every_alarm_has_a_section(templates: dict[str, dict[str, Template]]) -> None:
    section = PAGE.partition("## What to do at each alarm")[2].partition("\n## ")[0]
    headings = re.findall(r"^### (\w+)$", section, re.MULTILINE)
    alarms = templates["prod"]["service"].of("CloudWatch::Alarm")
    assert sorted(headings) == sorted(alarms)
    for name, alarm in alarms.items():
        assert alarm["AlarmDescription"].endswith(f"docs/operations.md#{name.lower()}")


def test_every_output_named_on_the_page_exists(cdk_out: Path) -> None:
    named = re.findall(r"output ([a-z]+) ([A-Z]\w+)", PAGE + DEPLOY)
    assert len(named) >= 6
    for stack, output in named:
        template = json.loads((cdk_out / f"dora-prod-{stack}.template.json").read_text("utf-8"))
        assert output in template["Outputs"], output


def test_the_costs_add_up() -> None:
    rows = costs()
    totals = [Decimal(total.strip("*")) for total in rows.pop("**a month**")]
    sums = [Decimal(0)] * len(COLUMNS)
    for name, amounts in rows.items():
        for column, cell in enumerate(amounts):
            if cell:
                match = PRODUCT.fullmatch(cell)
                assert match, (name, cell)
                count, price, amount = (Decimal(part.replace(",", "")) for part in match.groups())
                assert (count * price).quantize(Decimal("0.01"), ROUND_HALF_UP) == amount, cell
                sums[column] += amount
    assert sums == totals


def test_the_costs_count_the_deployed_resources(templates: dict[str, dict[str, Template]]) -> None:
    rows = costs()
    for column, stage in enumerate(COLUMNS):
        stacks = templates[stage].values()
        alarms = sum(len(stack.of("CloudWatch::Alarm")) for stack in stacks)
        instances = [each for stack in stacks for each in stack.of("RDS::DBInstance").values()]
        secrets = sum(len(stack.of("SecretsManager::Secret")) for stack in stacks)
        # RDS adds a secret for each instance.
        counted = {"alarms": alarms, "secrets": secrets + len(instances)}
        for name, count in counted.items():
            assert rows[name][column].startswith(f"{count} {TIMES} "), (name, stage)
        gateways = sum(len(stack.of("EC2::NatGateway")) for stack in stacks)
        assert (rows["NAT gateway"][column] != "") == (gateways == 1)
        for instance in instances:
            [storage] = [cell for name, cell in rows.items() if name.startswith("RDS storage")]
            assert storage[column].startswith(f"{instance['AllocatedStorage']} {TIMES} ")
