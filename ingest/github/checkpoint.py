"""What is loaded of a repository, and where its walks stand; kept in dlt's state."""

from datetime import timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel

# `updatedAt` has whole seconds and GitHub's replicas lag: read this much again below a watermark.
OVERLAP = timedelta(seconds=60)


class Walk(BaseModel):
    """A walk under way: from the top down to `floor` (null: to the very end).

    `target` is the newest `updatedAt` when it began at `began_at`; `reached` the oldest so far, of
    `seen` pull requests.
    """

    began_at: AwareDatetime
    target: AwareDatetime | None = None
    floor: AwareDatetime | None = None
    cursor: str | None = None
    reached: AwareDatetime | None = None
    seen: int = 0

    def is_below_floor(self) -> bool:
        """Whether the walk has come past its floor."""
        return self.floor is not None and self.reached is not None and self.reached < self.floor


class Reread(BaseModel):
    """When open pull requests were last read again; after which id an unfinished round goes on."""

    done_at: AwareDatetime | None = None
    after: str = ""


class Counted(BaseModel):
    """How many pull requests GitHub counted in a repository, and the newest `updatedAt`."""

    pull_requests: int
    newest: AwareDatetime | None = None


class Difference(BaseModel):
    """So many rows more than GitHub counts, `walks` times in a row, the last time `at`.

    It `is_settled`, as GitHub's own, where a walk over everything left it and nothing was opened,
    deleted or changed under it, or where the second found nothing gone.
    """

    rows: int
    at: AwareDatetime
    is_settled: bool = False
    walks: int = 0


class Progress(BaseModel):
    """What is loaded of one repository; kept in dlt's state.

    Everything that GitHub updated from `covered_from` (null: ever) up to `watermark` is in `raw`;
    `walked_at` is when the walk that set the watermark began. `backfill` is what is left of the
    first walk, `head` a walk towards the watermark that was cut off, `repair` one over everything
    because the number of rows was not GitHub's, or over what is loaded because `--refresh` asked;
    what it does not meet landed at `repair_after` (a dlt load id) or before, and `repair_of` is
    what GitHub counted as it began.
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
        """Whether the repository's first walk has not landed a page yet."""
        return self.walked_at is None

    def bounded_by(self, since: AwareDatetime | None) -> "Progress":
        """Return it with the backfill's floor at `since`, unless that is lower already or none."""
        backfill = self.backfill
        if backfill is None or since is None or (backfill.floor and backfill.floor <= since):
            return self
        if backfill.floor is None and backfill.cursor is not None:
            return self
        update: dict[str, Any] = {"backfill": backfill.model_copy(update={"floor": since})}
        if backfill.reached is not None and backfill.reached < since:
            # What was read at the end of the last walk goes further than that was to.
            update["covered_from"] = since
        return self.model_copy(update=update)

    def is_behind(self, newest: AwareDatetime | None) -> bool:
        """Whether a repository whose newest `updatedAt` this is may hold what is not loaded.

        A change in the very second of the last walk would not show in `updatedAt`, hence `OVERLAP`.
        """
        if newest is None or self.walked_at is None:
            return False
        if self.watermark is None or newest > self.watermark:
            return True
        return newest >= self.walked_at - OVERLAP

    def is_whole_up_to(self, newest: AwareDatetime | None) -> bool:
        """Whether all that GitHub updated up to now is loaded, going by the newest `updatedAt`."""
        return not self.is_new() and self.head is None and not self.is_behind(newest)

    def has_backfill(self) -> bool:
        """Whether there is older history left to read."""
        return self.backfill is not None and not self.backfill.is_below_floor()

    def after_backfill_page(self, walk: Walk, *, is_last: bool) -> "Progress":
        """Return it after a page of the first walk, or of what an interrupted one left."""
        done = is_last or walk.is_below_floor()
        first = {"watermark": walk.target, "walked_at": walk.began_at} if self.is_new() else {}
        update: dict[str, Any] = {
            **first,
            "backfill": None if is_last else walk,
            # As long as nothing of it could be used, no more than its beginning is covered.
            "covered_from": None
            if is_last
            else (walk.floor if done else walk.reached or walk.target or walk.began_at),
        }
        return self.model_copy(update=update)

    def after_head_page(self, walk: Walk, *, is_last: bool) -> "Progress":
        """Return it after a page of a walk down to the watermark; it moves when that is reached."""
        if is_last or walk.is_below_floor():
            return self.model_copy(
                update={"head": None, "watermark": walk.target, "walked_at": walk.began_at}
            )
        return self.model_copy(update={"head": walk})

    def after_repair_page(self, walk: Walk, *, is_last: bool) -> "Progress":
        """Return it after a page of a walk over what is loaded; what is covered stays so."""
        done = is_last or walk.is_below_floor()
        return self.model_copy(update={"repair": None if done else walk})

    @property
    def is_whole(self) -> bool:
        """Whether the whole history is loaded."""
        return not self.is_new() and self.backfill is None and self.head is None
