"""A digest as plain text, Markdown, Slack's mrkdwn or HTML.

Titles of pull requests are the text of strangers: each format escapes every value that its template
prints, unless a filter here has already made it safe.
"""

import html
import re
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cli.digest_content import Digest
from dora.plurals import counted

TEMPLATES = Path(__file__).with_name("digest_templates")
# The longest text that Slack accepts in a section of a message.
SLACK_LENGTH = 3000
# So that the whole fits on a screen.
_CHANGES, _NAMES, _TITLE = 8, 12, 72
_STATUSES = {
    "waiting_for_review": "waiting for review",
    "changes_requested": "changes requested",
    "approved": "approved but not merged",
    "draft": "draft",
}
# Control and format characters, which can reverse or hide text, and line breaks.
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]+")


class Format(StrEnum):
    """The formats of a digest."""

    TEXT = "text"
    MARKDOWN = "markdown"
    SLACK = "slack"
    HTML = "html"


def render(digest: Digest, form: Format, *, heading: bool = True) -> str:
    """Return the digest in a format; for Slack with at most `SLACK_LENGTH` characters."""
    template = _environment(form).get_template(f"digest.{form}.j2")
    for shown in range(_CHANGES, -1, -1):
        text = template.render(
            digest=digest,
            heading=heading,
            subject=subject(digest),
            changes=digest.changes[:shown],
            quiet=_quiet(digest, len(digest.changes) - shown),
            merged=_merged(digest),
            open=_open(digest),
            counts=_counts(digest),
            delivery=_delivery(digest),
        )
        text = re.sub(r"\n{3,}", "\n\n", text).strip()
        if form is not Format.SLACK or len(text) <= SLACK_LENGTH:
            break
    return text


def subject(digest: Digest) -> str:
    """Return the title of a message, in plain text."""
    week = digest.week
    return f"{_one_line(digest.team.name)}: week of {week.day} {week:%B %Y}"


@cache
def _environment(form: Format) -> Environment:
    escape = _ESCAPES[form]

    def finalize(value: Any) -> Any:
        return value if isinstance(value, Markup) else Markup(escape(_one_line(str(value))))

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "address": _address,
        "duration": duration,
        "shortened": _shortened,
        "status": lambda row: _STATUSES.get(row.status, row.status),
    }
    return environment


def duration(hours: float | None) -> str:
    """Return hours in words: `0.5 h`, `30 h`, `12 days`; an unknown time is a dash."""
    if hours is None:
        return "-"
    if hours >= 72:
        return f"{hours / 24:,.0f} days"
    return f"{hours:.0f} h" if hours >= 10 else f"{hours:.1f} h"


def _quiet(digest: Digest, more: int) -> str:
    """Return the line about the changes that are not shown and the teams without changes."""
    rest = [f"{counted(more, 'more change')} not shown."] if more > 0 else []
    if not digest.is_group:
        return " ".join(rest or ([] if digest.changes else ["No metric has changed clearly."]))
    if len(digest.quiet) > _NAMES:
        rest.append(f"No clear change: {counted(len(digest.quiet), 'team')}.")
    elif digest.quiet:
        rest.append(f"No clear change: {', '.join(digest.quiet)}.")
    return " ".join(rest)


def _merged(digest: Digest) -> str:
    if not digest.merged:
        return "No pull request was merged."
    return f"{counted(digest.merged, 'pull request')} merged, the slowest from opening to merge"


def _open(digest: Digest) -> str:
    if not digest.open.open:
        return "No pull request is open."
    return f"{counted(digest.open.open, 'pull request')} open, the oldest"


def _counts(digest: Digest) -> str | None:
    """Return the line about all open pull requests."""
    found = digest.open
    if not found.open:
        return None
    counts = ", ".join(
        f"{count:,} {words}" for name, words in _STATUSES.items() if (count := getattr(found, name))
    )
    ages = f"median age {duration(found.median_age_hours)}"
    if found.median_cycle_time_hours is not None:
        ages += f", while merged ones took {duration(found.median_cycle_time_hours)}"
    return f"All that are open: {counts}; {ages}."


def _delivery(digest: Digest) -> str | None:
    week = digest.delivery
    if week is None or week.deployments is None:
        return None
    if not week.is_complete:
        return "not loaded completely yet"
    failed = "" if week.deployments == 0 else f", {week.failed_deployments or 0} failed"
    if failed and not week.is_settled:
        failed += " so far"
    lead = duration(week.median_change_lead_time_hours)
    return f"{counted(week.deployments, 'deployment')}{failed}; change lead time {lead}"


def _one_line(text: str) -> str:
    """Return text without line breaks and invisible characters, in which @ mentions nobody."""
    text = " ".join(_INVISIBLE.sub(" ", text).split())
    return text.replace("@", "@\u200b")


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _TITLE else f"{text[: _TITLE - 1].rstrip()}…"


def _address(url: str) -> Markup:
    """Return an address that no format can take for the end of a link."""
    return Markup(
        quote(url, safe="/:?#=%~+,;-._") if url.startswith(("https://", "http://")) else ""
    )


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>&~|!#])", r"\\\1", text)


_ESCAPES: dict[Format, Callable[[str], str]] = {
    Format.TEXT: lambda text: text,
    Format.MARKDOWN: _markdown,
    # https://docs.slack.dev/messaging/formatting-message-text: nothing else can be escaped.
    Format.SLACK: lambda text: html.escape(text, quote=False),
    Format.HTML: html.escape,
}
