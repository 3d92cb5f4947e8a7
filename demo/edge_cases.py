"""The special pull requests of every made-up organisation, independent of the seed.

There is one for each edge case in GitHub's data that is easily handled wrongly; `Work.plant` is
its name.
"""

from collections.abc import Callable, Iterator

from demo.people import Person
from demo.pull_request_generator import DAY, HOUR, Office, Work, monday_after, month_after

TITLES = {
    "title_emoji": "Ship it 🚀👩🏽‍💻 — naïve café ☕ in 東京",
    "title_quotes": """Say "it's" `done`, O'Brien; drop table pull_requests;--""",
    "title_newlines": "Line one\nline two\r\nline three\twith a tab",
    "title_csv": '=cmd|"/C calc"!A0, "quoted", half;semicolon',
    "title_braces": "Use {{ ref('x') }} and {% raw %} %s %(name)s $1 \\n as they stand",
    "title_10000": "An endless title. " * 555 + "The end...",
}


class Planter:
    """Creates the special pull requests of one office."""

    def __init__(self, office: Office) -> None:
        self.office = office
        # From number 21, each person has one simple membership, from day 0 or soon after.
        self.plain = [
            person
            for person in office.staff.people[21:]
            if person.team >= 0 and not person.is_quiet and person.activity > 0
        ]
        self.count = 0

    def plant(self) -> list[Work]:
        makers: tuple[Callable[[], Iterator[Work]], ...] = (
            self.titles,
            self.many,
            self.drafts,
            self.commits,
            self.boundaries,
            self.reviews,
            self.states,
            self.authors,
        )
        return [work for make in makers for work in make()]

    def start(self, name: str, author: Person | None = None, fraction: float = 0.0) -> Work:
        """Start a small one, opened at 09:00 UTC on a working day in the second half."""
        self.count += 1
        office = self.office
        who = author or self.plain[self.count % len(self.plain)]
        span = office.end - office.start
        moment = office.start + int(span * (fraction or 0.66 + 0.003 * self.count))
        monday = monday_after(moment) - 7 * DAY
        work = Work(
            office.repository_of(who),
            who,
            monday + (self.count % 5) * DAY + 9 * HOUR,
            f"Tidy up after release {self.count}",
            additions=12,
            deletions=3,
            changed_files=2,
            head=f"tidy-{self.count}",
            plant=name,
        )
        work.first_commit = work.created - HOUR
        return work

    def other(self, work: Work, step: int = 1) -> Person:
        candidates = [person for person in self.plain if person is not work.author]
        return candidates[(self.count + step) % len(candidates)]

    def titles(self) -> Iterator[Work]:
        for name, title in TITLES.items():
            work = self.start(name)
            work.title = title
            yield work.merge(work.created + 5 * HOUR)

    def many(self) -> Iterator[Work]:
        for count in (35, 101, 250):
            work = self.start(f"reviews_{count}")
            for number in range(count):
                at = work.created + HOUR + number * 240
                work.reviews.append((at, self.other(work, number), "COMMENTED"))
            yield work.merge(work.created + 2 * DAY)
        for count in (26, 104):
            work = self.start(f"draft_events_{count}")
            names = ("convert_to_draft", "ready_for_review")
            work.events = [
                (work.created + 600 + number * 900, names[number % 2]) for number in range(count)
            ]
            yield work.merge(work.created + 3 * DAY)
        work = self.start("labels_20")
        work.labels = [f"area/{number:02d}" for number in range(20)]
        yield work.merge(work.created + HOUR)

    def drafts(self) -> Iterator[Work]:
        work = self.start("same_second_flips")
        at = work.created + 2 * HOUR
        work.events = [(at, "convert_to_draft"), (at, "ready_for_review"), (at, "convert_to_draft")]
        work.events.append((work.created + 4 * HOUR, "ready_for_review"))
        yield work.merge(work.created + 7 * HOUR)
        work = self.start("same_second_draft")
        at = work.created + HOUR
        work.events = [(at, "ready_for_review"), (at, "convert_to_draft")]
        work.is_draft, work.state, work.closed = True, "CLOSED", work.created + 6 * HOUR
        yield work
        work = self.start("review_in_draft")
        work.reviews = [(work.created + HOUR, self.other(work), "COMMENTED")]
        work.events = [(work.created + 3 * HOUR, "ready_for_review")]
        yield work.merge(work.created + 9 * HOUR)
        work = self.start("ready_at_merge")
        work.events = [(work.created + 5 * HOUR, "ready_for_review")]
        yield work.merge(work.created + 5 * HOUR)
        work = self.start("open_draft")
        work.is_draft = True
        yield work

    def commits(self) -> Iterator[Work]:
        work = self.start("rebased")
        work.first_commit = work.created + HOUR
        yield work.merge(work.created + 6 * HOUR)
        work = self.start("commits_after_merge")
        work.first_commit = work.created + 30 * HOUR
        yield work.merge(work.created + 6 * HOUR)
        work = self.start("no_commits")
        work.first_commit, work.commits = None, 0
        yield work.merge(work.created + 6 * HOUR)
        work = self.start("commits_312")
        work.commits, work.first_commit = 312, work.created - 90 * DAY
        yield work.merge(work.created + 6 * HOUR)
        work = self.start("huge")
        work.additions, work.deletions, work.changed_files = 1_400_000, 900_000, 3_000
        yield work.merge(work.created + 6 * HOUR)
        work = self.start("empty")
        work.additions = work.deletions = work.changed_files = 0
        yield work.merge(work.created + 6 * HOUR)

    def boundaries(self) -> Iterator[Work]:
        mover = self.office.staff.people[0]
        change = mover_change(self.office)
        for name, merged in (("merged_at_move", change), ("merged_before_move", change - 1)):
            work = self.start(name, mover, 0.5)
            work.created = change - 20 * HOUR
            yield work.merge(merged)
        work = self.start("merged_on_monday")
        yield work.merge(monday_after(work.created))
        work = self.start("merged_on_sunday")
        yield work.merge(monday_after(work.created) - 1)
        work = self.start("merged_on_the_first")
        yield work.merge(month_after(work.created))
        work = self.start("merged_at_once")
        yield work.merge(work.created)
        work = self.start("nine_months", fraction=0.1)
        yield work.merge(work.created + 270 * DAY)

    def reviews(self) -> Iterator[Work]:
        bot = self.office.staff.reviewer_bot
        for name, who, state in (
            ("bot_review_only", bot, "COMMENTED"),
            ("self_review_only", None, "COMMENTED"),
            ("pending_review_only", None, "PENDING"),
        ):
            work = self.start(name)
            at = None if state == "PENDING" else work.created + HOUR
            reviewer = self.other(work) if state == "PENDING" else who or work.author
            work.reviews = [(at, reviewer, state)]
            yield work.merge(work.created + 8 * HOUR)
        work = self.start("deleted_reviewer_first")
        work.reviews = [(work.created + HOUR, None, "APPROVED")]
        work.reviews.append((work.created + 2 * HOUR, self.other(work), "APPROVED"))
        yield work.merge(work.created + 8 * HOUR)
        for name, after in (
            ("review_at_once", 0),
            ("review_at_merge", 8 * HOUR),
            ("review_after_merge", 8 * HOUR + 1),
        ):
            work = self.start(name)
            work.reviews = [(work.created + after, self.other(work), "APPROVED")]
            yield work.merge(work.created + 8 * HOUR)
        work = self.start("dismissed_review")
        work.reviews = [(work.created + HOUR, self.other(work), "DISMISSED")]
        yield work.merge(work.created + 8 * HOUR)

    def states(self) -> Iterator[Work]:
        work = self.start("closed_with_late_review")
        work.state, work.closed = "CLOSED", work.created + 4 * HOUR
        work.reviews = [(work.created + 5 * HOUR, self.other(work), "COMMENTED")]
        yield work
        work = self.start("reopened")
        work.reviews = [(work.created + HOUR, self.other(work), "CHANGES_REQUESTED")]
        work.updated = work.created + 6 * DAY
        yield work
        work = self.start("reopened_and_merged")
        work.reviews = [(work.created + 2 * DAY, self.other(work), "APPROVED")]
        yield work.merge(work.created + 9 * DAY)

    def authors(self) -> Iterator[Work]:
        staff = self.office.staff
        for name, author in (
            ("by_listed_bot", staff.bots[1]),
            ("by_unlisted_bot", staff.bots[0]),
            ("by_contractor", staff.people[-1]),
            ("by_case_differing", staff.people[7]),
            ("by_renamed", staff.people[8]),
            ("by_zero_weight", staff.people[12]),
            ("by_more_than_whole", staff.people[5]),
            ("by_split", staff.people[3]),
        ):
            work = self.start(name, author)
            yield work.merge(work.created + 7 * HOUR)
        work = self.start("by_absent_rejoiner", staff.people[1], 0.45)
        yield work.merge(work.created + 7 * HOUR)
        work = self.start("by_deleted_user")
        work.author = None
        yield work.merge(work.created + 7 * HOUR, self.plain[0])


def mover_change(office: Office) -> int:
    """Return the midnight at which the first person changes teams."""
    day = office.staff.day(0.55)
    return int(office.staff.midnight(day).timestamp())
