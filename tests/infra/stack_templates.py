"""Queries on the templates that the CDK writes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Template:
    """One stack's template."""

    resources: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> "Template":
        return cls(json.loads(path.read_text("utf-8"))["Resources"])

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of the resources of a type, by their construct id."""
        return {
            name[:-8]: resource["Properties"]
            for name, resource in self.resources.items()
            if resource["Type"] == f"AWS::{kind}"
        }

    def only(self, kind: str) -> dict[str, Any]:
        [found] = self.of(kind).values()
        return found

    def statements(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each role's name with each of its policy statements."""
        for name, role in self.of("IAM::Role").items():
            for policy in role.get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    yield name, statement
        for policy in self.of("IAM::Policy").values():
            for statement in policy["PolicyDocument"]["Statement"]:
                for role in policy["Roles"]:
                    yield role["Ref"][:-8], statement

    def actions(self) -> dict[str, set[str]]:
        """Return the allowed actions of each role."""
        found: dict[str, set[str]] = {}
        for name, statement in self.statements():
            found.setdefault(name, set()).update(listed(statement["Action"]))
        return found


def listed(value: Any) -> list[Any]:
    """Return the value as a list: CloudFormation writes a list of one as its element."""
    return value if isinstance(value, list) else [value]


def resolved(value: Any, known: dict[str, str]) -> str:
    """Resolve a `Fn::Join` of texts and references; `known` holds the referenced values."""
    if isinstance(value, str):
        return value
    [(function, argument)] = value.items()
    if function == "Fn::Join":
        return argument[0].join(resolved(part, known) for part in argument[1])
    name = argument if function == "Ref" else argument[0]
    return known[name.replace("AWS::", "") if name.startswith("AWS::") else name[:-8]]
