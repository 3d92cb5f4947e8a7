"""How much one request asks GitHub for: less after GitHub refused a size, more again later."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# GitHub's longest page, and its longest list of ids.
LONGEST = 100
# A page of a walk. With its four nested connections it is 249 requests by GitHub's formula, which
# makes two points; three begin at 63 pull requests.
PAGE = 62
# Nested objects of a pull request on a page; the rest is read afterwards. 62 x 40 reviews are 2,480
# nodes. Hardly any pull request is switched between draft and ready more than ten times.
NESTED, DRAFT_EVENTS = 40, 10
# The sizes that are tried, one after the other. GitHub answers 50 well; 25 is safe.
STEPS = (LONGEST, 50, 25, 12, 6, 3, 1)
# So many answers after GitHub named the size as the fault, the next larger one is tried again.
PATIENCE, LONGEST_PATIENCE = 25, 400

_NESTED = {"reviews": NESTED, "labels": NESTED, "draftEvents": DRAFT_EVENTS}
# GitHub has at most a hundred labels on an issue.
_OF_ISSUE = {"labels": LONGEST, "linked": 10}
# Statuses of a deployment on a page; the rest is read afterwards.
STATUSES = 20
# The variables that are lists, cut to that length.
LISTS = {"ids", "deployments", "releases", "tags"}
_LISTED = {"deployments": LONGEST, "releases": LONGEST, "tags": LONGEST}
# The sizes in each kind of request, by variable.
MOST: dict[str, dict[str, int]] = {
    "walk": {"first": PAGE, **_NESTED},
    # The first pages of several repositories at once: five of ten cost what one page does.
    "heads": {"first": 10, **_NESTED},
    "ids": {"first": LONGEST},
    "pull_requests": {"ids": 50, **_NESTED},
    "details": {"ids": LONGEST, "first": LONGEST},
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
}


@dataclass
class Sizes:
    """The sizes of one kind of request, kept for a whole run.

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
        """Return the variables with every size in them; sizes that are given are kept or cut."""
        fitted = dict(variables)
        for name, most in self.most.items():
            if name in LISTS:
                fitted[name] = fitted.get(name, [])[: min(most, self.limit)]
            else:
                fitted[name] = min(fitted.get(name, most), self.limit)
        return fitted

    def refuse(self, asked: Mapping[str, Any], *, is_named: bool = False) -> bool:
        """Ask for less than this from now on; return whether that is possible.

        If GitHub named the size as the fault (`is_named`), the smaller size is kept for long.
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
        """Ask for as little as possible from now on; return whether that is less than before."""
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
        """Note that even the smallest request got no answer: the size was not the fault."""
        self.unanswered += 1
        self.limit, self.patience, self._answers = LONGEST, 1, 0

    def _largest(self, asked: Mapping[str, Any]) -> int:
        sizes = (asked[name] for name in self.most)
        return max(len(size) if isinstance(size, list) else size for size in sizes)
