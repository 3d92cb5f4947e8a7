"""How the made-up company works: days, hours, cycle times, reviews and drafts of pull requests.

Moments are whole seconds since the epoch, UTC; only the final record has instants as text.
"""

import bisect
import itertools
import math
import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from demo.people import Person, Staff, words

HOUR, DAY = 3600, 86400
WEEKDAYS = (1.0, 1.1, 1.1, 1.05, 0.85, 0.06, 0.04)
# Median hours to a merge at the start and at the end: Payments slows down, Storefront recovers.
MEDIAN_HOURS = ((9, 56), (80, 9), (6, 7), (26, 24), (12, 16), (20, 16))
QUIET_WEEKS = 2
VERBS = words("Add Fix Remove Rework Simplify Document Retry Cache Validate Rename Split Log Guard")
NOUNS = words(
    """refunds sessions rankings prices logins push-tokens exports build-cache deploy-lock webhooks
    currencies carts audit-trail crash-reports imports flags queue-consumers rate-limits"""
)
LABELS = words("bug chore dependencies docs feature performance security")


def text(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Work:
    """A pull request before it is a record; `author` None is an account that GitHub deleted."""

    repository: str
    author: Person | None
    created: int
    title: str
    state: str = "OPEN"
    closed: int | None = None
    merger: Person | None = None
    first_commit: int | None = None
    commits: int = 1
    is_draft: bool = False
    # Events: moment, event. Reviews: moment (None while pending), reviewer, state.
    events: list[tuple[int, str]] = field(default_factory=list)
    reviews: list[tuple[int | None, Person | None, str]] = field(default_factory=list)
    additions: int = 0
    deletions: int = 0
    changed_files: int = 0
    labels: list[str] = field(default_factory=list)
    updated: int = 0
    head: str = "main-fix"
    plant: str | None = None

    def merge(self, at: int, by: Person | None = None) -> "Work":
        self.state, self.closed, self.merger = "MERGED", at, by or self.author
        return self

    def last_moment(self) -> int:
        moments = [self.created, self.closed or 0, self.updated]
        moments += [at for at, _ in self.events] + [at or 0 for at, _, _ in self.reviews]
        return max(moments)


class Office:
    """Draws pull requests: author, repository, time, duration and reviewers."""

    def __init__(self, rng: random.Random, staff: Staff, repositories: list[str]) -> None:
        self.rng, self.staff, self.repositories = rng, staff, repositories
        self.start, self.end = int(staff.start.timestamp()), int(staff.end.timestamp())
        self.days = max(1, (self.end - self.start) // DAY)
        self._day_weights = list(itertools.accumulate(self._busy(day) for day in range(self.days)))
        self._crews = [self._crew(day) for day in range(self.days)]
        first_quiet = self.start + round(self.days * 0.62) * DAY
        monday = first_quiet - datetime.fromtimestamp(first_quiet, UTC).weekday() * DAY
        monday -= monday % DAY
        self.quiet = (monday, monday + QUIET_WEEKS * 7 * DAY)

    def _busy(self, day: int) -> float:
        when = datetime.fromtimestamp(self.start + day * DAY, UTC)
        weight = WEEKDAYS[when.weekday()] * (0.8 + 0.35 * day / self.days)
        turn = (when.month, when.day)
        if turn >= (12, 20) or turn <= (1, 3):
            return weight * 0.15
        return weight * (0.7 if (7, 15) <= turn <= (8, 20) else 1.0)

    def _crew(self, day: int) -> tuple[list[Person | None], list[float]]:
        when = self.staff.start + timedelta(days=day)
        crew: list[Person | None] = [
            person
            for person in (*self.staff.people, *self.staff.bots)
            if person.hired <= when < person.gone and person.activity > 0
        ]
        weights = [person.activity for person in crew if person is not None]
        # Some authors have deleted their account since.
        return [*crew, None], list(itertools.accumulate([*weights, 0.3]))

    def draw(self, count: int) -> list[Work]:
        days = self.rng.choices(range(self.days), cum_weights=self._day_weights, k=count)
        return [self._draw_one(day) for day in days]

    def _draw_one(self, day: int) -> Work:
        rng = self.rng
        crew, weights = self._crews[day]
        author = crew[bisect.bisect(weights, rng.random() * weights[-1])]
        created = self.moment_on(day, author)
        work = Work(self.repository_of(author), author, created, self._title(author))
        self._write(work)
        hours = rng.lognormvariate(math.log(self._median_hours(author, day)), 1.05)
        done = self._at_work(created + int(hours * HOUR), author)
        self._decide(work, done)
        return work

    def moment_on(self, day: int, author: Person | None) -> int:
        """Return a moment of the author's working day, which has two peaks around lunch."""
        hour = self.rng.gauss(10.6, 1.2) if self.rng.random() < 0.48 else self.rng.gauss(15.4, 1.7)
        offset = author.offset if author else 0
        local = min(max(hour, 6.5), 22.5) * HOUR + self.rng.randrange(60)
        return min(self.start + day * DAY + int(local) - offset * 60, self.end - 60)

    def repository_of(self, author: Person | None) -> str:
        """Mostly return a repository of the team: number n belongs to team n modulo the teams."""
        rng, teams = self.rng, len(self.staff.teams)
        if author is None or author.team < 0 or rng.random() < 0.15:
            return rng.choice(self.repositories)
        return rng.choice(self.repositories[author.team % len(self.repositories) :: teams])

    def _median_hours(self, author: Person | None, day: int) -> float:
        if author is None or author.team < 0:
            return 30.0
        first, last = MEDIAN_HOURS[author.team % len(MEDIAN_HOURS)]
        return author.pace * first * math.pow(last / first, day / self.days)

    def _at_work(self, moment: int, author: Person | None) -> int:
        """Return that moment or, at night or on weekends there, mostly the next working morning."""
        rng = self.rng
        shift = (author.offset if author else 0) * 60
        local = moment + shift
        if 8 * HOUR <= local % DAY < 20 * HOUR and _weekday(local) < 5:
            return moment
        if rng.random() < 0.15:
            return moment
        local += DAY if local % DAY >= 8 * HOUR else 0
        while _weekday(local) >= 5:
            local += DAY
        return local - local % DAY + int(rng.uniform(8.5, 12.5) * HOUR) - shift

    def _title(self, author: Person | None) -> str:
        rng = self.rng
        if author is not None and author.login == "dependabot":
            return f"Bump the runtime group from {rng.randrange(9)}.{rng.randrange(30)} to 10.0"
        return f"{rng.choice(VERBS)} {rng.choice(NOUNS).replace('-', ' ')}"

    def _write(self, work: Work) -> None:
        """Set commits, sizes, labels and branch."""
        rng = self.rng
        work.commits = 1 + int(rng.expovariate(0.4))
        chance = rng.random()
        if chance < 0.94:
            work.first_commit = work.created - int(rng.lognormvariate(math.log(3), 1.3) * HOUR)
        elif chance < 0.98:
            work.first_commit = work.created + rng.randrange(60, 3 * HOUR)
        work.additions = int(rng.lognormvariate(math.log(45), 1.4))
        work.deletions = int(rng.lognormvariate(math.log(14), 1.5))
        work.changed_files = 1 + int(rng.lognormvariate(math.log(2.5), 0.9))
        work.labels = sorted(rng.sample(LABELS, rng.choice((0, 0, 1, 1, 2))))
        work.head = f"{work.title.split()[0].lower()}-{rng.randrange(10_000)}"

    def _decide(self, work: Work, done: int) -> None:
        """Decide whether it is merged, closed or open; then add its drafts and reviews."""
        rng = self.rng
        if work.author is not None and work.author.is_quiet:
            start, end = self.quiet
            done = done + end - start if start <= done < end else done
        chance = rng.random()
        stays_open = chance < 0.012 or done >= self.end
        until = self.end - 1 if stays_open else done
        is_draft_to_the_end = rng.random() < 0.03
        self._drafts(work, until, is_draft_to_the_end and (stays_open or chance < 0.08))
        self._reviews(work, until)
        if stays_open:
            work.is_draft = work.is_draft or is_draft_to_the_end
        elif chance < 0.08:
            work.state, work.closed = "CLOSED", done
        else:
            work.is_draft = False
            work.merge(done, self.colleague(work.author) if rng.random() < 0.3 else work.author)
        if rng.random() < 0.12:
            later = work.last_moment() + int(rng.expovariate(1 / (5 * DAY)))
            work.updated = min(later, self.end - 1)

    def _drafts(self, work: Work, until: int, stays: bool) -> None:
        rng, chance = self.rng, self.rng.random()
        if stays:
            work.is_draft = True
            return
        names: tuple[str, ...] = ()
        if chance < 0.2:
            names = ("ready_for_review",)
        elif chance < 0.235:
            names = ("ready_for_review", "convert_to_draft", "ready_for_review")
        elif chance < 0.26:
            names = ("convert_to_draft", "ready_for_review")
        span = max(1, until - work.created)
        moments = sorted(work.created + int(span * rng.random() ** 2) for _ in names)
        work.events = list(zip(moments, names, strict=True))

    def _reviews(self, work: Work, until: int) -> None:
        rng = self.rng
        opened = work.events[0][0] if work.events else work.created
        span = max(1, until - opened)
        if rng.random() < 0.3:
            moment = min(work.created + rng.randrange(60, 700), until)
            work.reviews.append((moment, self.staff.reviewer_bot, "COMMENTED"))
        if rng.random() < 0.88:
            first = rng.random() ** 1.7
            for _ in range(min(9, int(rng.expovariate(0.9)))):
                moment = opened + int(span * rng.uniform(first, 1.0))
                state = rng.choice(("COMMENTED", "COMMENTED", "CHANGES_REQUESTED", "DISMISSED"))
                work.reviews.append((moment, self.colleague(work.author), state))
            moment = opened + int(span * max(first, rng.random() ** 0.5))
            work.reviews.append((moment, self.colleague(work.author), "APPROVED"))
        if rng.random() < 0.04:
            moment = opened + int(span * rng.random())
            work.reviews.append((moment, work.author, "COMMENTED"))
        if rng.random() < 0.02:
            moment = min(until + rng.randrange(60, 9 * DAY), self.end - 1)
            work.reviews.append((moment, self.colleague(work.author), "COMMENTED"))
        if rng.random() < 0.006:
            work.reviews.append((None, self.colleague(work.author), "PENDING"))
        work.reviews.sort(key=lambda review: review[0] or until)

    def colleague(self, author: Person | None) -> Person | None:
        """Return another person, mostly of the author's team; sometimes None, a deleted account."""
        rng = self.rng
        if rng.random() < 0.006:
            return None
        people = self.staff.people
        team = author.team if author is not None and rng.random() < 0.7 else -1
        for _ in range(8):
            found = people[rng.randrange(len(people))]
            if found is not author and (team < 0 or found.team == team):
                return found
        return people[1] if author is people[0] else people[0]


def _weekday(local: int) -> int:
    """Monday is 0; the epoch began on a Thursday."""
    return (local // DAY + 3) % 7


def monday_after(moment: int) -> int:
    """Return the first midnight (UTC) of a Monday after that moment."""
    return moment - moment % DAY + (7 - _weekday(moment)) * DAY


def month_after(moment: int) -> int:
    """Return the first midnight (UTC) of a month after that moment."""
    day = datetime.fromtimestamp(moment, UTC).date()
    first = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return int(datetime(first.year, first.month, 1, tzinfo=UTC).timestamp())
