"""Sizes of requests: smaller after GitHub refused a size, larger again later."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# GitHub's longest page, and its longest list of ids.
LONGEST = 100
# Pull requests on a page of a walk. With four nested connections these are 249 requests by GitHub's
# formula, which cost two points; from 63 pull requests on it is three.
PAGE = 62
# Nested objects of a pull request on a page; further ones are read afterwards. 62 x 40 reviews are
# 2,480 nodes. Very few pull requests switch between draft and ready more than ten times.
NESTED, DRAFT_EVENTS = 40, 10
# The sizes to try, in this order. GitHub answers 50 well; 25 is safe.
STEPS = (LONGEST, 50, 25, 12, 6, 3, 1)
# If GitHub named the size as the cause, the next larger size is tried after this many answers.
PATIENCE, LONGEST_PATIENCE = 25, 400

_NESTED = {"reviews": NESTED, "labels": NESTED, "draftEvents": DRAFT_EVENTS}
# GitHub allows at most 100 labels on an issue.
_OF_ISSUE = {"labels": LONGEST, "linked": 10}
# Statuses of a deployment on a page; further ones are read afterwards.
STATUSES = 20
# The variables that are lists; they are cut to the size.
LISTS = {"ids", "deployments", "releases", "tags"}
_LISTED = {"deployments": LONGEST, "releases": LONGEST, "tags": LONGEST}
# The sizes in each kind of request, by variable.
MOST: dict[str, dict[str, int]] = {
    "walk": {"first": PAGE, **_NESTED},
    # The first pages of several repositories: five with ten pull requests cost as much as one page.
    "heads": {"first": 10, **_NESTED},
    "ids": {"first": LONGEST},
    "pull_requests": {"ids": 50, **_NESTED},
    "details": {"ids": LONGEST, "first": LONGEST},
    "files": {"ids": LONGEST, "first": LONGEST},
    "probe": {"ids": LONGEST, **_LISTED},
    "resolve": {"ids": LONGEST},
    "owned": {"first": LONGEST, **_LISTED},
    "owned_by_id": {"first": LONGEST, **_LISTED},
    "deployments": {"first": LONGEST, "statuses": STATUSES},
    "releases": {"first": LONGEST},
    "tags": {"first": LONGEST},
    "commits": {"ids": LONGEST, "first": LONGEST, "parents": 50},
    "incident_probe": {"ids": LONGEST},
    "incidents": {"first": 50, **_OF_ISSUE},
    "issues": {"ids": LONGEST, **_OF_ISSUE},
    "offers": {"ids": 25, "first": LONGEST},
    "delivery_ids": {"first": LONGEST},
    "deliveries": {"ids": LONGEST, "statuses": STATUSES},
    "teams": {"first": 50, "members": LONGEST},
    "team_members": {"first": LONGEST},
}


@dataclass
class PageSizes:
    """The sizes of one kind of request during a run.

    No size is larger than `limit`. It falls when GitHub refuses a request, and rises after
    `patience` answers. `unanswered` counts the requests in a row that GitHub did not answer even
    at the smallest sizes.
    """

    most: Mapping[str, int]
    limit: int = LONGEST
    patience: int = 1
    unanswered: int = 0
    _answers: int = 0

    def fitted(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the variables with all sizes; given sizes and lists are reduced if necessary."""
        fitted = dict(variables)
        for name, most in self.most.items():
            if name in LISTS:
                fitted[name] = fitted.get(name, [])[: min(most, self.limit)]
            else:
                fitted[name] = min(fitted.get(name, most), self.limit)
        return fitted

    def refuse(self, asked: Mapping[str, Any], *, is_named: bool = False) -> bool:
        """Use smaller sizes than these from now on; return whether that is possible.

        If GitHub named the size as the cause (`is_named`), the smaller size is kept for longer.
        """
        smaller = next((step for step in STEPS if step < self._largest(asked)), None)
        if smaller is None:
            return False
        self.limit = min(self.limit, smaller)
        self.patience = min(LONGEST_PATIENCE, self.patience * 2)
        if is_named:
            self.patience = max(self.patience, PATIENCE)
        self._answers = 0
        return True

    def refuse_all(self) -> bool:
        """Use the smallest sizes from now on; return whether they were larger before."""
        is_less = self.limit > 1
        self.limit = 1
        return is_less

    def answered(self, asked: Mapping[str, Any]) -> None:
        """Count an answer; after enough answers at the limit, the limit rises one step."""
        self.unanswered = 0
        if self.limit == LONGEST or self._largest(asked) < self.limit:
            return
        self._answers += 1
        if self._answers >= self.patience:
            self.limit = min(step for step in STEPS if step > self.limit)
            self._answers = 0

    def give_up(self) -> None:
        """Record that even the smallest request got no answer: the size was not the cause."""
        self.unanswered += 1
        self.limit, self.patience, self._answers = LONGEST, 1, 0

    def _largest(self, asked: Mapping[str, Any]) -> int:
        sizes = (asked[name] for name in self.most)
        return max(len(size) if isinstance(size, list) else size for size in sizes)
