"""The loaded part of a repository and the state of its walks; stored in dlt's state."""

from datetime import timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel

# `updatedAt` has whole seconds and GitHub's replicas lag: read this much again below a watermark.
OVERLAP = timedelta(seconds=60)


class Walk(BaseModel):
    """A walk in progress, from the top down to `floor` (None: to the end of the list).

    `target` is the newest `updatedAt` at its start, `began_at`; `reached` is the oldest so far,
    after `seen` pull requests.
    """

    began_at: AwareDatetime
    target: AwareDatetime | None = None
    floor: AwareDatetime | None = None
    cursor: str | None = None
    reached: AwareDatetime | None = None
    seen: int = 0

    def is_below_floor(self) -> bool:
        """Whether the walk has passed its floor."""
        return self.floor is not None and self.reached is not None and self.reached < self.floor


class Reread(BaseModel):
    """When open pull requests were last read again; an unfinished round continues after an id."""

    done_at: AwareDatetime | None = None
    after: str = ""


class Counted(BaseModel):
    """GitHub's count of a repository's pull requests, and their newest `updatedAt`."""

    pull_requests: int
    newest: AwareDatetime | None = None


class Difference(BaseModel):
    """How many rows we have more than GitHub counts, after `walks` walks, the last one `at`.

    It `is_settled`, as GitHub's miscount, if it remains after a walk over everything and nothing
    was opened, deleted or changed during the walk, or if the second walk found no deletion.
    """

    rows: int
    at: AwareDatetime
    is_settled: bool = False
    walks: int = 0


class Checkpoint(BaseModel):
    """The loaded part of one repository; stored in dlt's state.

    `raw` has everything that GitHub updated from `covered_from` (None: ever) up to `watermark`;
    `walked_at` is when the walk that set the watermark began. `backfill` is the unfinished rest of
    the first walk, `head` an interrupted walk to the watermark. `repair` is a walk over everything
    because the number of rows differs from GitHub's, or over the loaded part because of
    `--refresh`; a row loaded in `repair_after` (a dlt load id) or before was not found by it.
    `repair_of` is GitHub's count when it began.
    """

    watermark: AwareDatetime | None = None
    walked_at: AwareDatetime | None = None
    covered_from: AwareDatetime | None = None
    head: Walk | None = None
    backfill: Walk | None = None
    repair: Walk | None = None
    repair_after: str | None = None
    repair_of: Counted | None = None

    def is_new(self) -> bool:
        """Whether no page of the repository's first walk has been loaded yet."""
        return self.walked_at is None

    def bounded_by(self, since: AwareDatetime | None) -> "Checkpoint":
        """Return a copy with the backfill's floor at `since`, unless it goes further back."""
        backfill = self.backfill
        if backfill is None or since is None or (backfill.floor and backfill.floor <= since):
            return self
        if backfill.floor is None and backfill.cursor is not None:
            return self
        update: dict[str, Any] = {"backfill": backfill.model_copy(update={"floor": since})}
        if backfill.reached is not None and backfill.reached < since:
            # The last page of the earlier walk went beyond its floor.
            update["covered_from"] = since
        return self.model_copy(update=update)

    def is_behind(self, newest: AwareDatetime | None) -> bool:
        """Whether a repository with this newest `updatedAt` may have changes that are not loaded.

        `updatedAt` does not show a change in the same second as the last walk, hence `OVERLAP`.
        """
        if newest is None or self.walked_at is None:
            return False
        if self.watermark is None or newest > self.watermark:
            return True
        return newest >= self.walked_at - OVERLAP

    def is_whole_up_to(self, newest: AwareDatetime | None) -> bool:
        """Whether every change is loaded, judged by the newest `updatedAt`."""
        return not self.is_new() and self.head is None and not self.is_behind(newest)

    def has_backfill(self) -> bool:
        """Whether older history remains to be read."""
        return self.backfill is not None and not self.backfill.is_below_floor()

    def after_backfill_page(self, walk: Walk, *, is_last: bool) -> "Checkpoint":
        """Return the progress after a page of the first walk, or of its continuation."""
        done = is_last or walk.is_below_floor()
        first = {"watermark": walk.target, "walked_at": walk.began_at} if self.is_new() else {}
        update: dict[str, Any] = {
            **first,
            "backfill": None if is_last else walk,
            # If no pull request was usable so far, only the time since its start is covered.
            "covered_from": None
            if is_last
            else (walk.floor if done else walk.reached or walk.target or walk.began_at),
        }
        return self.model_copy(update=update)

    def after_head_page(self, walk: Walk, *, is_last: bool) -> "Checkpoint":
        """Return the progress after a page of a head walk; only its end moves the watermark."""
        if is_last or walk.is_below_floor():
            return self.model_copy(
                update={"head": None, "watermark": walk.target, "walked_at": walk.began_at}
            )
        return self.model_copy(update={"head": walk})

    def after_repair_page(self, walk: Walk, *, is_last: bool) -> "Checkpoint":
        """Return the progress after a page of a repair walk; the coverage stays the same."""
        done = is_last or walk.is_below_floor()
        return self.model_copy(update={"repair": None if done else walk})

    @property
    def is_whole(self) -> bool:
        """Whether the whole history is loaded."""
        return not self.is_new() and self.backfill is None and self.head is None
