"""The text of a team file: reads JSON and YAML as plain values, writes teams as either."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import yaml

from dora.errors import ConfigurationError

if TYPE_CHECKING:
    from ingest.teams import Member, Team

_YAML = (".yaml", ".yml")


def read_document(text: str, source: str) -> Any:
    """Return the plain values of JSON or YAML; raise `ConfigurationError` if it is neither.

    A source that ends in .yaml or .yml is YAML, and so is a text that begins with neither `[` nor
    `{`. Every scalar of YAML is a text, as it was written, except an unquoted null.
    """
    is_json = text.lstrip().startswith(("[", "{")) and not source.lower().endswith(_YAML)
    kind = "JSON" if is_json else "YAML"
    try:
        document = (
            json.loads(text, object_pairs_hook=_refuse_twins) if is_json else _read_yaml(text)
        )
        written = json.dumps(document, ensure_ascii=False)
        written.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{source} contains half a surrogate pair") from None
    except RecursionError:
        raise ConfigurationError(f"{source} is not valid {kind}: it is nested too deeply") from None
    except ValueError as error:
        raise ConfigurationError(f"{source} is not valid {kind}: {error}") from None
    if "\\u0000" in written:
        raise ConfigurationError(f"{source} contains a NUL, which Postgres cannot store")
    return document


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if twins := sorted({key for key in keys if keys.count(key) > 1}):
        raise ValueError(f"an object has the key {twins[0]!r} twice")
    return dict(pairs)


def _read_yaml(text: str) -> Any:
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{line}{error.problem}") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error).partition("\n")[0]) from None
    return None if node is None else _value(node, set())


def _value(node: yaml.Node, seen: set[int]) -> Any:
    """Return the value of a node. PyYAML itself would read `no` as false and `010` as 8.

    It would also accept a key twice. An alias is a node that was seen before.
    """
    line = f"line {node.start_mark.line + 1}"
    if id(node) in seen:
        raise ValueError(f"{line} has an anchor (&) with an alias (*); write the value out")
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, seen) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        pairs = [(_value(key, seen), _value(value, seen)) for key, value in node.value]
        if not all(isinstance(key, str) for key, _ in pairs):
            raise ValueError(f"{line}: a key is not a text")
        try:
            return _refuse_twins(pairs)
        except ValueError as error:
            raise ValueError(f"{line}: {error}") from None
    is_plain = isinstance(node, yaml.ScalarNode) and node.style is None
    return None if is_plain and node.value.lower() in {"", "~", "null"} else node.value


def write_teams(teams: Iterable["Team"], file: str, comment: str = "") -> str:
    """Return the text of a team file: JSON if the file's name ends in .json, otherwise YAML.

    Only YAML has the comment. `parse_teams` reads the same teams from the text.
    """
    document = [_plain(team) for team in teams]
    if file.lower().endswith(".json"):
        return json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n"
    comments = "".join(f"# {line}\n" for line in comment.splitlines())
    return comments + yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _plain(team: "Team") -> dict[str, Any]:
    """Return a team with the most frequent `joined_at` of its members as a default."""
    starts = Counter(member.joined_at for member in team.members)
    usual = next((start for start, count in starts.most_common(1) if count > 1), None)
    defaults: dict[str, Any] = {} if usual is None else {"joined_at": _day(usual)}
    if team.usual_weight != 1:
        defaults["allocation_weight"] = float(team.usual_weight)
    return {
        "id": team.id,
        "name": team.name,
        **({} if team.description is None else {"description": team.description}),
        **_plain_groups(team),
        **({"defaults": defaults} if defaults else {}),
        "members": [_plain_member(member, usual, team.usual_weight) for member in team.members],
    }


def _plain_groups(team: "Team") -> dict[str, Any]:
    if team.group is not None:
        return {"group": team.group}
    windows: list[dict[str, Any]] = []
    for window in team.groups:
        dates = {"joined_at": window.joined_at, "left_at": window.left_at}
        days = {name: _day(at) for name, at in dates.items() if at}
        windows.append({"path": window.path, **days})
    return {"groups": windows} if windows else {}


def _plain_member(member: "Member", usual: datetime | None, weight: Decimal) -> Any:
    """Return a member without its defaults; a bare login if nothing else is left."""
    fields: dict[str, Any] = {"github_username": member.github_username}
    if member.also:
        fields["also"] = member.also
    if member.allocation_weight != weight:
        fields["allocation_weight"] = float(member.allocation_weight)
    if member.joined_at != usual:
        fields["joined_at"] = _day(member.joined_at)
    if member.left_at is not None:
        fields["left_at"] = _day(member.left_at)
    return fields if len(fields) > 1 else member.github_username


def _day(instant: datetime) -> date | str:
    """Return a date if the instant is midnight UTC, otherwise the instant's text."""
    instant = instant.astimezone(UTC)
    return instant.date() if instant.time() == time() else instant.isoformat()
