"""The rollups: one row per team and week, one row per team and month."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from math import ceil, floor
from zoneinfo import ZoneInfo

from .coverage import Build
from .pull_requests import MICROSECOND, PHASES, Attribution, Row, hours
from .records import Membership, People


@dataclass(frozen=True)
class Periods:
    """Weeks or months in the reporting time zone, each named by its first day."""

    column: str
    zone: ZoneInfo

    def holding(self, at: datetime) -> date:
        day = at.astimezone(self.zone).date()
        if self.column == "week":
            return day - timedelta(days=day.weekday())
        return day.replace(day=1)

    def after(self, period: date) -> date:
        if self.column == "week":
            return period + timedelta(days=7)
        return (period + timedelta(days=31)).replace(day=1)

    def start(self, period: date) -> datetime:
        """Return the first instant of a period: the first midnight if the clock shows two."""
        return datetime.combine(period, time(), self.zone).astimezone(UTC)

    def is_complete(self, period: date, build: Build) -> bool:
        return (
            build.as_of is not None
            and self.start(self.after(period)) <= build.as_of
            and (build.history_from is None or self.start(period) >= build.history_from)
        )


def rows_of_team(
    team_id: str,
    memberships: Sequence[Membership],
    attributions: Sequence[Attribution],
    build: Build,
    periods: Periods,
    people: People,
) -> Iterator[tuple[date, Row]]:
    merged: dict[date, list[Attribution]] = {}
    for attribution in attributions:
        merged_at = attribution.measured.pull_request.merged_at
        if merged_at is not None:
            merged.setdefault(periods.holding(merged_at), []).append(attribution)
    for period in span(memberships, max(merged, default=None), build, periods):
        yield (
            period,
            {
                "team_id": team_id,
                periods.column: period,
                **(
                    _velocity(merged.get(period, []), people)
                    if periods.column == "week"
                    else _lead_time(merged.get(period, []))
                ),
                "is_complete": periods.is_complete(period, build),
            },
        )


def span(
    memberships: Sequence[Membership], last_merge: date | None, build: Build, periods: Periods
) -> Iterator[date]:
    joined_at = min((membership.joined_at for membership in memberships), default=None)
    if build.as_of is None or joined_at is None or joined_at > build.as_of:
        return
    left = [
        membership.left_at
        for membership in memberships
        if membership.left_at is not None and membership.left_at <= build.as_of
    ]
    all_left = len(left) == len(memberships)
    last = periods.holding(max(left) - MICROSECOND if all_left else build.as_of)
    if last_merge is not None:
        last = max(last, last_merge)
    period = periods.holding(max(joined_at, build.data_from or joined_at))
    while period <= last:
        yield period
        period = periods.after(period)


def _velocity(merged: Sequence[Attribution], people: People) -> Row:
    cycle_times = [_cycle_time(attribution) for attribution in merged]
    weights = [attribution.weight for attribution in merged]
    total = sum(weights, Decimal())
    weighted = sum(
        Fraction(weight) * cycle_time
        for weight, cycle_time in zip(weights, cycle_times, strict=True)
    )
    return {
        "prs_merged": len(merged),
        "weighted_prs_merged": total,
        "avg_cycle_time_hours": hours(Fraction(sum(cycle_times), len(merged))) if merged else None,
        "weighted_avg_cycle_time_hours": hours(weighted / Fraction(total)) if total else None,
        "contributors": len(
            {people.key(attribution.measured.pull_request.author) for attribution in merged}
        ),
    }


def _lead_time(merged: Sequence[Attribution]) -> Row:
    cycle_times = [_cycle_time(attribution) for attribution in merged]
    weighted = [(_cycle_time(attribution), attribution.weight) for attribution in merged]
    row: Row = {
        "prs_merged": len(merged),
        "median_lead_time_hours": percentile_cont(cycle_times, "0.5"),
        "p95_lead_time_hours": percentile_cont(cycle_times, "0.95"),
        "weighted_median_lead_time_hours": weighted_percentile(weighted, "0.5"),
        "weighted_p95_lead_time_hours": weighted_percentile(weighted, "0.95"),
    }
    for phase in PHASES:
        spent = [
            attribution.measured.phases[phase]
            for attribution in merged
            if attribution.measured.phases is not None
        ]
        row[f"median_{phase}_hours"] = percentile_cont(spent, "0.5")
    return row


def _cycle_time(attribution: Attribution) -> int:
    cycle_time = attribution.measured.cycle_time
    assert cycle_time is not None, "only merged pull requests are rolled up"
    return cycle_time


def percentile_cont(durations: Sequence[int], q: str) -> float | None:
    """Return the percentile in hours, interpolated between the nearest ranks as in Postgres."""
    if not durations:
        return None
    ordered = sorted(durations)
    rank = Fraction(q) * (len(ordered) - 1)
    low, high = ordered[floor(rank)], ordered[ceil(rank)]
    return hours(low + (rank - floor(rank)) * (high - low))


def weighted_percentile(
    durations: Sequence[tuple[int, Decimal | Fraction]], q: str
) -> float | None:
    """Return the weighted percentile in hours: the inverted weighted distribution function."""
    ordered = sorted((duration, Fraction(weight)) for duration, weight in durations if weight > 0)
    cumulative = list(accumulate(weight for _, weight in ordered))
    if not cumulative:
        return None
    reach = Fraction(q) * cumulative[-1]
    return hours(
        next(
            duration
            for (duration, _), weight in zip(ordered, cumulative, strict=True)
            if weight >= reach
        )
    )
