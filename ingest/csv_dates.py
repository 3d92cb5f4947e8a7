"""Finds the format of the dates in a column of a CSV file."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime

# A day first and a month first are told apart only by a day after the 12th.
FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d 00:00:00",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
)


def is_complete(form: str) -> bool:
    """Return whether a format says day, month and year, in the notation of `strptime`."""
    day = date(2026, 11, 30)
    with suppress(ValueError):
        return _read(day.strftime(form), form) == day
    return False


def read_dates(
    column: str, texts: Mapping[int, str], form: str | None
) -> tuple[dict[int, date], list[str]]:
    """Return the dates by line, and the faults.

    Without a format, the one that fits the most texts counts; if several fit equally well but give
    other dates, the column is ambiguous.
    """
    forms = [form] if form else FORMATS
    found = {each: _read_all(texts, each) for each in forms}
    most = max(len(dates) for dates in found.values())
    best = {each: dates for each, dates in found.items() if len(dates) == most}
    form, dates = next(iter(best.items()))
    faults = [
        f"line {line}: {column}: {text!r} is not a date" + (f" of the form {form}" if most else "")
        for line, text in texts.items()
        if line not in dates
    ]
    for other, others in best.items():
        if others.keys() == dates.keys() and others != dates:
            line = next(line for line in dates if others[line] != dates[line])
            faults.append(
                f"line {line}: {column}: {texts[line]!r} is {dates[line]} as {form} and "
                f"{others[line]} as {other}: name the format, as in --date-format {form}"
            )
            break
    return dates, faults


def _read_all(texts: Mapping[int, str], form: str) -> dict[int, date]:
    dates = {}
    for line, text in texts.items():
        with suppress(ValueError):
            dates[line] = _read(text, form)
    return dates


def _read(text: str, form: str) -> date:
    return datetime.strptime(text, form).date()
