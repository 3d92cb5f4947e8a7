"""The loaded part of a repository's deliveries; stored in dlt's state."""

from pydantic import AwareDatetime, BaseModel, Field

from ingest.github.newest_deliveries import Shown


class ListWalk(BaseModel):
    """A walk in progress through a list, newest first, down to `floor` (None: to its end).

    `shown` is the state of the list at the start, `target` the newest instant in it. If the walk
    covers all loaded rows, `after` is a dlt load id: rows from that load or before were not found
    by the walk and may be deleted. They are checked when the walk `is_read` to its end.
    """

    floor: AwareDatetime | None = None
    cursor: str | None = None
    target: AwareDatetime | None = None
    shown: Shown | None = None
    after: str | None = None
    is_read: bool = False


class Listing(BaseModel):
    """The loaded part of one list: everything from `covered_from` (None: ever) to `watermark`.

    `shown` is the state of the list at that time. If `is_compared`, the count has been checked
    since, and `difference` is how many more GitHub counts than there are rows.
    """

    shown: Shown | None = None
    watermark: AwareDatetime | None = None
    covered_from: AwareDatetime | None = None
    difference: int = 0
    walk: ListWalk | None = None
    is_compared: bool = True


class Round(BaseModel):
    """When rows were last read again by id; an unfinished round continues after an id."""

    done_at: AwareDatetime | None = None
    after: str = ""


class History(BaseModel):
    """An interrupted walk through the history of `tip`; it continues at GitHub's cursor."""

    tip: str
    cursor: str


class Runs(BaseModel):
    """The loaded runs of a workflow, by `created_at`, and when they were last read again."""

    watermark: AwareDatetime | None = None
    covered_from: AwareDatetime | None = None
    reread_at: AwareDatetime | None = None


class DeliveryCheckpoint(BaseModel):
    """The loaded part of one repository's deliveries.

    `tip` is the default branch's tip when the commits were last complete; `is_whole` is false
    during a walk. The commits are read (`is_due`) after a possible deployment was loaded, or if the
    hash of the deployment rules differs from `rules`. `missing` are commits that GitHub does not
    have, with the instant of the last request. `runs` are the loaded workflow runs, by workflow
    id. `incidents` is the state of the list of issues with each label.
    """

    lists: dict[str, Listing] = Field(default_factory=dict)
    tip: str | None = None
    is_whole: bool = False
    is_due: bool = False
    rules: str | None = None
    history: History | None = None
    missing: dict[str, AwareDatetime] = Field(default_factory=dict)
    runs: dict[str, Runs] = Field(default_factory=dict)
    incidents: dict[str, Shown] = Field(default_factory=dict)
