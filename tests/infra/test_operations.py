"""docs/operations.md, held against what is deployed."""

import json
import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from stack_templates import Template

from transform.dbt_runner import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
TIMES = "\N{MULTIPLICATION SIGN}"
PRODUCT = re.compile(rf"([\d,]+) {TIMES} ([\d.]+) = ([\d.]+)")
# The stage that each column of the table of costs is about.
COLUMNS = ("staging", "prod", "there")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def costs() -> dict[str, list[str]]:
    """The rows of the table of costs: a stage's arithmetic in each column."""
    table = PAGE.partition("## What it costs")[2]
    rows = [cells(line) for line in table.splitlines() if line.startswith("|")]
    return {name: amounts for name, *amounts in rows[2:]}


def test_every_alarm_has_its_paragraph(templates: dict[str, dict[str, Template]]) -> None:
    section = PAGE.partition("## What to do at each alarm")[2].partition("\n## ")[0]
    headings = re.findall(r"^### (\w+)$", section, re.MULTILINE)
    alarms = templates["prod"]["service"].of("CloudWatch::Alarm")
    assert sorted(headings) == sorted(alarms)
    for name, alarm in alarms.items():
        assert alarm["AlarmDescription"].endswith(f"docs/operations.md#{name.lower()}")


def test_every_output_that_it_names_is_there(cdk_out: Path) -> None:
    named = re.findall(r"output (\w+) (\w+)", PAGE)
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


def test_the_costs_are_of_what_is_deployed(templates: dict[str, dict[str, Template]]) -> None:
    rows = costs()
    for column, stage in enumerate(COLUMNS):
        stacks = templates[stage].values()
        alarms = sum(len(stack.of("CloudWatch::Alarm")) for stack in stacks)
        instances = [each for stack in stacks for each in stack.of("RDS::DBInstance").values()]
        secrets = sum(len(stack.of("SecretsManager::Secret")) for stack in stacks)
        # RDS keeps one of its own for each instance.
        counted = {"alarms": alarms, "secrets": secrets + len(instances)}
        for name, count in counted.items():
            assert rows[name][column].startswith(f"{count} {TIMES} "), (name, stage)
        gateways = sum(len(stack.of("EC2::NatGateway")) for stack in stacks)
        assert (rows["NAT gateway"][column] != "") == (gateways == 1)
        for instance in instances:
            [storage] = [cell for name, cell in rows.items() if name.startswith("RDS storage")]
            assert storage[column].startswith(f"{instance['AllocatedStorage']} {TIMES} ")
