"""Words a row of `fct_team_trends`, for the API, the dashboard and the digest alike."""

from collections.abc import Mapping
from typing import Any

METRICS = {
    "merged_per_week": "Pull requests merged per week",
    "lead_time_hours": "Lead time",
    "deployments_per_week": "Deployments per week",
    "change_lead_time_hours": "Change lead time",
    "change_fail_rate": "Change fail rate",
}
SPANS = {"quarter_before": "in a quarter", "year_before": "in a year"}
PHASES = {
    "coding": "coding",
    "draft": "time as a draft",
    "pickup": "waiting for review",
    "review": "review",
    "deploy": "waiting for deployment",
}


def sentence(row: Mapping[str, Any]) -> str:
    """Return a trend as a sentence: what changed, and the phase that explains most of it.

    `row` has the columns of `fct_team_trends`. An example: "Lead time 22.7 → 50.0 h in a year;
    waiting for review is 22 h of the 27."
    """
    name = METRICS[row["metric"]]
    if row["verdict"] == "too_little_data":
        return f"{name}: too little data to compare."
    change = f"{_change(row['metric'], row['earlier_value'], row['current_value'])} "
    change += SPANS[row["compared_with"]]
    if row["verdict"] == "as_usual":
        return f"{name} as usual: {change}."
    return f"{name} {change}{_reason(row)}."


def _reason(row: Mapping[str, Any]) -> str:
    if row["phase"] is None:
        return ""
    phase, before, now = PHASES[row["phase"]], row["earlier_phase_hours"], row["phase_hours"]
    whole, part = abs(row["current_value"] - row["earlier_value"]), abs(now - before)
    digits = 0 if whole >= 10 else 1
    # Medians of phases do not add up to the median of the whole, so a part may be larger.
    if part > whole:
        return f"; {phase} {_hours(before, now)}"
    if round(part, digits) == 0:
        return ""
    return f"; {phase} is {part:,.{digits}f} h of the {whole:,.{digits}f}"


def _change(metric: str, before: float, now: float) -> str:
    if metric.endswith("_hours"):
        return _hours(before, now)
    if metric.endswith("_rate"):
        digits = 1 if f"{before:.0%}" == f"{now:.0%}" else 0
        return f"{before:.{digits}%} → {now:.{digits}%}"
    return f"{before:,.1f} → {now:,.1f}"


def _hours(before: float, now: float) -> str:
    return f"{before:,.1f} → {now:,.1f} h"
