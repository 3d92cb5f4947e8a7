"""What is loaded of a repository's deliveries; kept in dlt's state."""

from pydantic import AwareDatetime, BaseModel, Field

from ingest.github.newest_deliveries import Shown


class ListWalk(BaseModel):
    """A walk down a list, newest first, that is under way, down to `floor` (null: to its end).

    `shown` is what the list was as it began, `target` the newest instant in it. A walk over all
    that is loaded (`after`) finds what is gone: rows that landed in that dlt load or before. They
    are looked for once it `is_read` to its end.
    """

    floor: AwareDatetime | None = None
    cursor: str | None = None
    target: AwareDatetime | None = None
    shown: Shown | None = None
    after: str | None = None
    is_read: bool = False


class Listing(BaseModel):
    """What is loaded of one list: everything from `covered_from` (null: ever) to `watermark`.

    `shown` is what GitHub showed of it then, `difference` by how much it counted more than there
    are rows, if that has been looked into since (`is_compared`).
    """

    shown: Shown | None = None
    watermark: AwareDatetime | None = None
    covered_from: AwareDatetime | None = None
    difference: int = 0
    walk: ListWalk | None = None
    is_compared: bool = True


class Round(BaseModel):
    """When rows were last read again by id; after which id a round that was cut off goes on."""

    done_at: AwareDatetime | None = None
    after: str = ""


class History(BaseModel):
    """A walk down the commits of `tip` that was cut off at a cursor of GitHub's."""

    tip: str
    cursor: str


class Runs(BaseModel):
    """Up to which `created_at` the runs of a workflow are loaded, and when they were read anew."""

    watermark: AwareDatetime | None = None
    covered_from: AwareDatetime | None = None
    reread_at: AwareDatetime | None = None


class Delivered(BaseModel):
    """What is loaded of one repository's deliveries.

    `tip` is the default branch's when its commits were last whole; they are not (`is_whole`) while
    a walk is under way. They are to be looked at (`is_due`) once something landed that may be
    deployed, or if the rules are others than `rules` stands for. `missing` are commits that
    GitHub does not have, and when it was last asked. `runs` is what is loaded, by
    the ids of workflows. `incidents` is what GitHub showed of the issues with each label.
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
