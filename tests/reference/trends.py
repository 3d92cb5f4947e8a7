"""The comparison of docs/trends.md: 13 weeks beside 13 earlier ones."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean, median

Weeks = Sequence[Sequence[float]]
"""The values of each week: the hours of each pull request, or one count."""

CRITICAL, RATIO = 2.5, 1.2
LEAST_WEEKS, LEAST_VALUES = 8, 20


@dataclass(frozen=True)
class Metric:
    """How a metric is summed up, the smallest change that counts, and the least data."""

    typical: Callable[[Sequence[float]], float]
    is_higher_worse: bool
    least_change: float = 0.0
    least_values: int = LEAST_VALUES


HOURS = Metric(median, is_higher_worse=True, least_change=1.0)
COUNT = Metric(fmean, is_higher_worse=False, least_values=LEAST_WEEKS)
RATE = Metric(fmean, is_higher_worse=True)


def verdict(now: Weeks, earlier: Weeks, metric: Metric, critical: float = CRITICAL) -> str:
    """Return `worse`, `better`, `as_usual` or `too_little_data`."""
    for weeks in (now, earlier):
        if sum(map(bool, weeks)) < LEAST_WEEKS or sum(map(len, weeks)) < metric.least_values:
            return "too_little_data"
    values, others = list(chain(*now)), list(chain(*earlier))
    value, before = metric.typical(values), metric.typical(others)
    is_large = abs(value - before) >= metric.least_change and (
        max(value, before) >= RATIO * min(value, before)
    )
    is_higher = value > before
    probability = probability_higher(now, earlier)
    is_same_direction = value != before and (probability - 0.5) * (value - before) > 0
    if not (is_large and is_same_direction and abs(statistic(now, earlier)) >= critical):
        return "as_usual"
    return "worse" if is_higher == metric.is_higher_worse else "better"


def probability_higher(now: Weeks, earlier: Weeks) -> float:
    """Return how often a value of now is above one of earlier; equal values count half."""
    places = chain(*_places(now, earlier))
    return sum(places) / 2 / sum(map(len, now)) / sum(map(len, earlier))


def statistic(now: Weeks, earlier: Weeks) -> float:
    """Return the Brunner-Munzel statistic, with weeks as clusters."""
    excess = probability_higher(now, earlier) - 0.5
    error = math.sqrt(_variance(now, earlier) + _variance(earlier, now))
    return excess / error if error else math.copysign(math.inf, excess) if excess else 0.0


def _places(weeks: Weeks, others: Weeks) -> list[list[int]]:
    """Return, for each value, twice the number of `others` below it; equal ones count once."""
    known = sorted(chain(*others))
    return [[bisect_left(known, v) + bisect_right(known, v) for v in week] for week in weeks]


def _variance(weeks: Weeks, others: Weeks) -> float:
    """Return the variance of the mean share of `others` below a value.

    All values of a week form one cluster, because pull requests of a week are alike.
    """
    places = [week for week in _places(weeks, others) if week]
    number, clusters = sum(map(len, places)), len(places)
    mean = sum(map(sum, places)) / number
    spread = sum((sum(week) - len(week) * mean) ** 2 for week in places)
    return spread * clusters / (clusters - 1) / (2 * sum(map(len, others)) * number) ** 2
