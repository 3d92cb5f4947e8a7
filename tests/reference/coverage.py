"""The coverage of a build: `as_of`, `history_from` and `data_from`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from .records import PullRequest, optional_instant


@dataclass(frozen=True)
class Coverage:
    """How far one repository is loaded; `counted` is false if unreachable or not configured."""

    covered_from: str | datetime | None = None
    covered_to: str | datetime | None = None
    counted: bool = True


@dataclass(frozen=True)
class Build:
    as_of: datetime | None
    data_from: datetime | None
    history_from: datetime | None


def build(coverage: Mapping[str, Coverage], pull_requests: Iterable[PullRequest]) -> Build:
    earliest: dict[str, datetime] = {}
    for pull_request in pull_requests:
        repository = pull_request.repository.lower()
        created_at = pull_request.created_at
        earliest[repository] = min(created_at, earliest.get(repository, created_at))
    ends, known_from, history = [], [], []
    for repository, covered in coverage.items():
        covered_to = optional_instant(covered.covered_to)
        if not covered.counted or covered_to is None:
            continue
        covered_from = optional_instant(covered.covered_from)
        ends.append(covered_to)
        history.append(covered_from)
        known_from.append(covered_from or earliest.get(repository.lower()))
    return Build(
        as_of=min(ends, default=None),
        data_from=min((at for at in known_from if at is not None), default=None),
        history_from=max((at for at in history if at is not None), default=None),
    )
