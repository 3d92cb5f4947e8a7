"""The verdicts on planted changes and on shuffled weeks, beside two simpler rules.

The weeks are those of real repositories (`tests/reference/data`) and of the demo. Each stretch of
65 weeks is shuffled, by week or in blocks of four weeks, so that nothing in it is a trend. Then a
change is planted.
"""

import gzip
import json
import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import chain
from pathlib import Path
from statistics import NormalDist, median
from typing import NamedTuple

from demo.organisation import generate
from tests.reference.trends import COUNT, HOURS, RATIO, Metric, Weeks, statistic, verdict

REAL = Path(__file__).resolve().parents[1] / "tests" / "reference" / "data" / "lead_times.json.gz"
WEEK_SECONDS = 7 * 24 * 3600
STRETCH, QUARTER, YEAR = 65, 13, 52
TRIALS = 400
FEW, MONTH, MONTHS, WEEKS, ENOUGH = 5, 4, 6, 12, 4
Rule = Callable[[Weeks], str]


class Planted(NamedTuple):
    """A change: the factor of the last week, since when it applies, and whether it grows."""

    name: str
    factor: float
    weeks: int
    is_gradual: bool = False

    def of(self, week: int) -> float:
        """Return the factor of one of the `STRETCH` weeks."""
        begun = week - (STRETCH - self.weeks)
        if begun < 0:
            return 1.0
        return float(self.factor ** ((begun + 1) / self.weeks if self.is_gradual else 1))


CHANGES = [
    Planted(name, factor, weeks, is_gradual)
    for factor in (1.25, 1.5, 2.0)
    for name, weeks, is_gradual in (
        ("for 13 weeks", QUARTER, False),
        ("for 26 weeks", 2 * QUARTER, False),
        ("grows over a year", YEAR, True),
    )
]


def measure(_: Path) -> None:
    """Print the share of false alarms and of planted changes found, for each rule."""
    sources = {"a company": list(_demo_teams()), "open source": list(_real_teams())}
    for title, metric in (("lead time", HOURS), ("merged per week", COUNT)):
        for source, teams in sources.items():
            print(f"trends: {title}, {source}: per cent of {TRIALS} stretches of 65 weeks")
            _measure(metric, teams)


def _measure(metric: Metric, teams: list[list[list[float]]]) -> None:
    rules: dict[str, Rule] = {
        "old": _old_of_months if metric is HOURS else _old_of_weeks,
        "alone": _without_clusters(metric),
        "quarter": _of_quarter(metric),
        "year": _of_year(metric),
        "either": _either(metric),
    }
    print("| | " + " | ".join(rules) + " |\n|---|" + "---|" * len(rules))
    for noise in (0.0, 0.5):
        drawn = {block: list(_stretches(teams, metric, block, noise)) for block in (1, MONTH)}
        for block, stretches in drawn.items():
            name = f"false alarms, blocks of {block}, noise {noise}"
            _print(name, [_share(rule, stretches, "worse", "better") for rule in rules.values()])
        for change in CHANGES:
            planted = [_plant(weeks, change) for weeks in drawn[1]]
            wanted = "worse" if metric.is_higher_worse else "better"
            name = f"found, x{change.factor:g} {change.name}, noise {noise}"
            _print(name, [_share(rule, planted, wanted) for rule in rules.values()])


def _print(name: str, shares: list[float]) -> None:
    print(f"| {name} | " + " | ".join(f"{100 * share:.1f}" for share in shares) + " |")


def _share(rule: Rule, stretches: list[Weeks], *wanted: str) -> float:
    return sum(rule(weeks) in wanted for weeks in stretches) / len(stretches)


def _demo_teams() -> Iterator[list[list[float]]]:
    """The same of the generated company, by its teams' first members."""
    company = generate(pull_requests=6000, months=18)
    team_of = {m["github_username"]: t["id"] for t in company.team_config() for m in t["members"]}
    merged: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in company.records:
        if row["merged_at"] and row["author"] in team_of:
            span = _at(row["created_at"]), _at(row["merged_at"])
            merged[team_of[row["author"]]].append(span)
    yield from map(_by_week, merged.values())


def _real_teams() -> Iterator[list[list[float]]]:
    """The hours of the pull requests of each week, of a repository or a group of authors."""
    for team in json.loads(gzip.decompress(REAL.read_bytes())):
        yield [[seconds / 3600 for seconds in week] for week in team]


def _by_week(pulls: list[tuple[float, float]]) -> list[list[float]]:
    ends = [int(end // WEEK_SECONDS) for _, end in pulls]
    weeks: list[list[float]] = [[] for _ in range(min(ends), max(ends) + 1)]
    for (begin, end), week in zip(pulls, ends, strict=True):
        weeks[week - min(ends)].append(max(0.0, end - begin) / 3600)
    return weeks


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _stretches(
    teams: list[list[list[float]]], metric: Metric, block: int, noise: float
) -> Iterator[Weeks]:
    """Yield shuffled stretches for which the new rule has enough data."""
    rng = random.Random(16)
    long = [weeks for weeks in teams if len(weeks) >= STRETCH]
    judged, done = _either(metric), 0
    while done < TRIALS:
        weeks = rng.choice(long)
        begin = rng.randrange(len(weeks) - STRETCH + 1)
        blocks = [weeks[at : at + block] for at in range(begin, begin + STRETCH, block)]
        rng.shuffle(blocks)
        shuffled = list(chain(*blocks))[:STRETCH]
        factors = [math.exp(rng.gauss(0, noise)) for _ in shuffled]
        noisy = [[v * f for v in week] for week, f in zip(shuffled, factors, strict=True)]
        found: Weeks = (
            noisy
            if metric is HOURS
            else [[len(week) * f] for week, f in zip(shuffled, factors, strict=True)]
        )
        if len(found) == STRETCH and judged(found) != "too_little_data":
            done += 1
            yield found


def _plant(weeks: Weeks, change: Planted) -> Weeks:
    return [[value * change.of(at) for value in week] for at, week in enumerate(weeks)]


def _windows(weeks: Weeks) -> tuple[Weeks, Weeks, Weeks]:
    """The last 13 weeks, those before, and the same a year earlier."""
    now, before = weeks[-QUARTER:], weeks[-2 * QUARTER : -QUARTER]
    return now, before, weeks[-QUARTER - YEAR : -YEAR]


def _of_quarter(metric: Metric) -> Rule:
    return lambda weeks: verdict(*_windows(weeks)[:2], metric)


def _of_year(metric: Metric) -> Rule:
    return lambda weeks: verdict(weeks[-QUARTER:], _windows(weeks)[2], metric)


def _either(metric: Metric) -> Rule:
    """The verdict on the year if it is clear, else the one on the quarter."""

    def judged(weeks: Weeks) -> str:
        found = [_of_year(metric)(weeks), _of_quarter(metric)(weeks)]
        if "too_little_data" in found:
            return "too_little_data"
        return next((one for one in found if one != "as_usual"), "as_usual")

    return judged


def _without_clusters(metric: Metric) -> Rule:
    """The same with each pull request as one cluster and a critical value of 5 %."""
    critical = NormalDist().inv_cdf(0.975)

    def judged(weeks: Weeks) -> str:
        now, before, year = _windows(weeks)
        for earlier in (year, before):
            one, other = ([[v] for v in chain(*part)] for part in (now, earlier))
            value, typical = (metric.typical(list(chain(*part))) for part in (now, earlier))
            is_large = max(value, typical) >= RATIO * min(value, typical)
            if is_large and abs(statistic(one, other)) >= critical:
                return "worse" if (value > typical) == metric.is_higher_worse else "better"
        return "as_usual"

    return judged


def _old_of_months(weeks: Weeks) -> str:
    """Whether the last month's median is above or below those of all six months before."""
    months = [list(chain(*weeks[at : at + MONTH])) for at in _months_back()]
    last, *others = months
    figures = [median(month) for month in others if len(month) >= FEW]
    if len(last) < FEW or len(figures) < ENOUGH:
        return "too_little_data"
    if median(last) > max(figures):
        return "worse"
    return "better" if median(last) < min(figures) else "as_usual"


def _months_back() -> range:
    return range(STRETCH - MONTH, STRETCH - MONTH * (MONTHS + 2), -MONTH)


def _old_of_weeks(weeks: Weeks) -> str:
    """Whether the last week's number is above or below those of all 12 weeks before."""
    *others, last = (week[0] for week in weeks[-1 - WEEKS :])
    if last > max(others):
        return "better"
    return "worse" if last < min(others) else "as_usual"
