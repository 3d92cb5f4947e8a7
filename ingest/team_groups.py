"""Groups of teams: paths such as `engineering/product`, and the ids made from them.

Every beginning of a path is a group as well. The group `all` contains every team; dbt adds it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator
from slugify import slugify

if TYPE_CHECKING:
    from ingest.teams import Team

ALL = "all"
RESERVED = {ALL: "the group of all teams", "unassigned": "changes without a team"}


def _usable_path(value: str) -> str:
    """Return the path without spaces around its names."""
    names = [name.strip() for name in value.split("/")]
    for name in names:
        if not slugify(name):
            raise ValueError(
                "should be names separated by '/', such as engineering/product, and each name "
                "should have a letter or a digit"
            )
    if (outermost := slugify(names[0])) in RESERVED:
        raise ValueError(f"the group id {outermost!r} is reserved for {RESERVED[outermost]}")
    return "/".join(names)


GroupPath = Annotated[str, AfterValidator(_usable_path)]


def groups_of(path: str) -> Iterator[tuple[str, str, str]]:
    """Yield id, name and parent's id of each group of a path, the outermost first."""
    parent = ALL
    for name in accumulate(path.split("/"), "{}/{}".format):
        group_id = ".".join(slugify(part) for part in name.split("/"))
        yield group_id, name, parent
        parent = group_id


def group_faults(teams: Iterable["Team"]) -> list[str]:
    """Return the faults between the groups of all teams: overlapping windows and shared ids."""
    faults = []
    names: dict[str, set[str]] = defaultdict(set)
    for team in teams:
        windows = sorted(team.group_windows, key=lambda window: window.start)
        faults += [
            f"{team.id}: its windows in the groups {before.path} and {after.path} overlap"
            for before, after in pairwise(windows)
            if after.start < before.end
        ]
        for window in windows:
            for group_id, name, _ in groups_of(window.path):
                names[group_id].add(name)
    faults += [
        f"the groups {' and '.join(map(repr, sorted(spelled)))} have the same id {group_id!r}; "
        "spell one group in one way, or rename one of them"
        for group_id, spelled in sorted(names.items())
        if len(spelled) > 1
    ]
    return faults + [
        f"{team.id!r} is the id of a team and of a group; give the team another id, "
        "or rename the group"
        for team in teams
        if team.id in names
    ]
