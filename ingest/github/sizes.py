"""How much to ask GitHub for at once: less after it could not answer, more again after it could."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

# Hardly any pull request has more switches between draft and ready; a page's are cut off there.
DRAFT_EVENTS = 10


@dataclass
class PageSize:
    """A number of objects, from 1 to `most`: halves when that was too many, grows by a quarter."""

    most: int
    now: int = 0

    def __post_init__(self) -> None:
        self.now = self.now or self.most

    def shrink(self) -> bool:
        """Halve; say whether there was anything to halve."""
        before, self.now = self.now, max(1, self.now // 2)
        return self.now < before

    def grow(self) -> None:
        """Grow by a quarter, up to the most."""
        self.now = min(self.most, self.now + max(1, self.now // 4))


@dataclass
class Sizes:
    """The page sizes of a question: of what it asks for, and of what is nested in each of these.

    `of` is what follows the outer one: `first`, or how many of the `ids` are asked for. The nested
    one gives way only where the outer one cannot any more; no more than `events` switches between
    draft and ready are asked for.
    """

    outer: PageSize
    nested: PageSize | None = None
    of: Literal["first", "ids"] = "first"
    events: int = DRAFT_EVENTS
    # How many questions of this kind in a row GitHub has not answered, however small.
    unanswered: int = 0

    def fitted(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the variables of a question of the present sizes."""
        fitted = dict(variables)
        if self.of == "ids":
            fitted["ids"] = fitted["ids"][: self.outer.now]
        else:
            fitted["first"] = self.outer.now
        if self.nested:
            events = min(self.nested.now, self.events)
            fitted |= {"reviews": self.nested.now, "draftEvents": events}
        return fitted

    def shrink(self, ids: int = 0) -> bool:
        """Ask for less than the last time, for so many ids; say whether that is possible."""
        if self.of == "ids" and ids:
            self.outer.now = min(self.outer.now, ids)
        return self.outer.shrink() or (self.nested is not None and self.nested.shrink())

    def shrink_to_least(self) -> bool:
        """Ask for as little as possible; say whether that is less than before."""
        before = (self.outer.now, self.nested and self.nested.now)
        while self.shrink():
            pass
        return (self.outer.now, self.nested and self.nested.now) != before

    def grow(self) -> None:
        """Ask for more again, after an answer."""
        self.unanswered = 0
        self.outer.grow()
        if self.nested:
            self.nested.grow()
