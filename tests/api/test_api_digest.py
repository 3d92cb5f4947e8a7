"""`dora digest`: what it says, in four formats, and how it is sent, to real servers."""

import html.parser
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import markdown
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from api_support import Marts, settings_for
from apprise.plugins.slack import NotifySlack
from pydantic import SecretStr

from api.app import create_app
from cli.digest import send_weekly
from cli.digest_content import Digest, last_week, read_digest
from cli.digest_destinations import Status, parse_destinations
from cli.digest_rendering import SLACK_LENGTH, Format, render
from dora.database import open_database
from dora.errors import ConfigurationError, UnavailableError
from tests.webhook import Webhook

WORSE = "Lead time 22.7 → 50.0 h in a year; waiting for review is 22 h of the 27."
TOKEN = "s3cretT0ken"
HOSTILE = (
    "<!channel> !here> @U123> @everyone [x](https://evil.example) *b* `c` ~~d~~ | "
    '"q" & <img src=x onerror=alert(1)>\n# h\u202e'
)
Dora = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    webhook = Webhook()
    yield webhook
    webhook.close()


class Mailbox:
    """An SMTP server's handler and authenticator."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
        self.mails.append(envelope.content)
        return "250 OK"

    def __call__(self, *arguments: Any) -> AuthResult:
        given = arguments[-1]
        is_right = isinstance(given, LoginPassword) and given.password == TOKEN.encode()
        return AuthResult(success=is_right, handled=False)


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    mailbox = Mailbox()
    # The controller cannot start on port 0.
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=port,
        authenticator=mailbox,
        auth_required=True,
        auth_require_tls=False,
    )
    controller.start()
    yield mailbox, port
    controller.stop()


@pytest.fixture
def dora(marts: Marts, tmp_path: Path) -> Dora:
    """Run `dora digest` in an empty folder with these arguments and settings."""

    def run(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "cli", "digest", *arguments],
            env=environment(marts.url, **settings),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def environment(url: str, **settings: str) -> dict[str, str]:
    names = ("PATH", "HOME", "LANG")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return kept | {"DB_URL": url, "PYTHONPATH": os.getcwd()} | settings


def read(url: str, team: str = "all") -> Digest:
    return read_digest(create_app(settings_for(url, None), key_source=lambda: None), team)


def hostile(marts: Marts) -> Digest:
    """A digest in which every name and title is hostile."""
    marts.run("update marts.fct_pull_requests set title = %s", HOSTILE)
    marts.run("update marts.dim_teams set team_name = %s where team_id = 'core'", HOSTILE)
    marts.run("update marts.dim_groups set group_name = %s where group_id = 'all'", HOSTILE)
    return read(marts.url)


def test_digest_of_a_team_has_the_figures_of_the_api(marts: Marts) -> None:
    found = read(marts.url, "core")
    assert (found.team.name, found.week, found.is_group) == ("Core", date(2026, 1, 12), False)
    assert [trend.verdict for trend in found.changes] == ["better"]
    assert (found.merged, [row.number for row in found.slowest]) == (1, [3])
    assert found.open.open == 0
    assert found.delivery is not None
    assert found.delivery.deployments == 0
    web = read(marts.url, "web")
    assert [trend.sentence for trend in web.changes] == [WORSE]
    assert [(row.number, row.status) for row in web.oldest] == [
        (9, "approved"),
        (8, "waiting_for_review"),
    ]
    assert (web.merged, web.delivery) == (0, None)


def test_digest_of_a_group_names_the_teams_and_the_quiet_ones_in_one_line(marts: Marts) -> None:
    text = render(read(marts.url, "eng"), Format.TEXT)
    assert f"Worse: Web: {WORSE}" in text
    marts.run("update marts.fct_team_trends set verdict = 'as_usual' where verdict = 'better'")
    text = render(read(marts.url), Format.TEXT)
    assert text.startswith("All teams: week of 12 January 2026\n\nWorse: Web: ")
    assert "No clear change: Core.\n" in text
    assert "Core:" not in text
    marts.run("update marts.fct_team_trends set verdict = 'as_usual' where verdict = 'worse'")
    assert "\nNo clear change: Core, Web.\n" in render(read(marts.url), Format.TEXT)
    assert "No metric has changed clearly." in render(read(marts.url, "web"), Format.TEXT)


def test_digest_lists_the_three_slowest_of_all_pages(
    marts: Marts, monkeypatch: pytest.MonkeyPatch
) -> None:
    marts.run(
        """
        insert into marts.fct_pull_requests (
            pull_request_id, repository, number, title, url, created_at, work_started_at, merged_at,
            cycle_time_hours
        )
        select 'P' || n, 'acme/app', n, 'T' || n, 'https://github.com/acme/app/pull/' || n,
            '2026-01-12', '2026-01-12', '2026-01-13', n
        from generate_series(101, 108) as n
        """
    )
    marts.run(
        """
        insert into marts.fct_team_pull_requests
        select 'web', pull_request_id, 1, merged_at, merged_at, '2026-01-12', '2026-01-01'
        from marts.fct_pull_requests
        where number > 100
        """
    )
    monkeypatch.setattr("cli.digest_content._PAGE", 3)
    found = read(marts.url, "web")
    assert found.merged == 8
    assert [row.number for row in found.slowest] == [108, 107, 106]


def test_unknown_team_and_missing_build_are_told(marts: Marts) -> None:
    for team in ("nobody", "..", "a/b"):
        with pytest.raises(ConfigurationError):
            read(marts.url, team)
    marts.run("delete from marts.dim_build")
    with pytest.raises(UnavailableError):
        read(marts.url)


def test_week_that_is_not_loaded_completely_is_not_digested(marts: Marts) -> None:
    week = "where group_id = 'all' and week = '2026-01-12'"
    marts.run(f"update marts.fct_group_velocity_weekly set is_complete = false {week}")
    with pytest.raises(UnavailableError, match="2026-01-12 is not loaded completely yet"):
        read(marts.url)
    marts.run(f"delete from marts.fct_group_velocity_weekly {week}")
    marts.run("delete from marts.fct_group_velocity_weekly where week < '2026-01-12'")
    marts.run(
        "insert into marts.fct_group_velocity_weekly (group_id, week, prs_merged, "
        "weighted_prs_merged, contributors, is_complete) "
        "values ('all', '2026-01-19', 0, 0, 0, false)"
    )
    with pytest.raises(UnavailableError, match="not loaded completely yet"):
        read(marts.url)


def test_delivery_of_a_week_that_is_not_loaded_completely_has_no_figures(marts: Marts) -> None:
    marts.run("update marts.fct_team_delivery_weekly set is_complete = false")
    assert "Delivery: not loaded completely yet" in render(read(marts.url, "core"), Format.TEXT)


def test_nothing_is_sent_without_teams(marts: Marts) -> None:
    marts.run("delete from marts.fct_group_pull_requests")
    marts.run("delete from marts.dim_team_memberships")
    marts.run("delete from marts.dim_teams")
    settings = settings_for(marts.url, None).model_copy(
        update={"digest_to": SecretStr("json://127.0.0.1:9")}
    )
    assert send_weekly(settings, open_database(settings)) == 0


@pytest.mark.parametrize(
    ("as_of", "zone", "week"),
    [
        ("2026-01-18T23:59:59Z", "UTC", "2026-01-05"),
        ("2026-01-19T00:00:00Z", "UTC", "2026-01-12"),
        ("2026-01-18T23:00:00Z", "Europe/Berlin", "2026-01-12"),
        ("2026-01-19T04:59:00Z", "America/New_York", "2026-01-05"),
    ],
)
def test_week_is_over_at_midnight_in_the_reporting_timezone(
    as_of: str, zone: str, week: str
) -> None:
    assert last_week(datetime.fromisoformat(as_of).astimezone(UTC), zone) == date.fromisoformat(
        week
    )


class _Parsed(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert {name for name, _ in attributes} <= {"href"}
        self.links |= {str(value) for _, value in attributes}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_titles_stay_text_in_html_and_markdown(marts: Marts) -> None:
    digest = hostile(marts)
    for form, allowed in (
        (Format.HTML, {"h2", "h3", "ul", "li", "p", "b", "a"}),
        (Format.MARKDOWN, {"h2", "ul", "li", "p", "strong", "a"}),
    ):
        text = render(digest, form)
        parsed = _Parsed(markdown.markdown(text) if form is Format.MARKDOWN else text)
        assert parsed.tags <= allowed, form
        assert parsed.links == {"https://github.com/acme/app/pull/3"}, form
        shown = parsed.text.replace("\u200b", "")
        assert "<!channel> !here> @U123> @everyone [x](https://evil.example) *b*" in shown, form


def test_titles_mention_nobody_and_hide_nothing(marts: Marts) -> None:
    digest = hostile(marts)
    for form in Format:
        text = render(digest, form)
        assert not re.search(r"@\w", text), form
        assert "\u202e" not in text, form
    slack = render(digest, Format.SLACK)
    links = re.findall(r"<([^>]*)>", slack)
    assert len(links) == 1
    assert links[0].startswith("https://github.com/acme/app/pull/3|&lt;!channel&gt; !here&gt;")


def test_slack_text_is_shortened_until_slack_accepts_it(marts: Marts) -> None:
    marts.run(
        "insert into marts.dim_teams select 't' || n, repeat('&', 90) || n, null"
        " from generate_series(1, 20) as n"
    )
    marts.run(
        "insert into marts.dim_group_teams select 'all', team_id, true from marts.dim_teams"
        " where team_id like 't%%'",
    )
    marts.run(
        "insert into marts.fct_team_trends (team_id, metric, compared_with, verdict,"
        " current_value, earlier_value, sample_size, earlier_sample_size, first_week,"
        " earlier_first_week)"
        " select team_id, 'lead_time_hours', 'year_before', 'worse', 9, 1, 30, 30, '2025-10-20',"
        " '2024-10-21' from marts.dim_teams where team_id like 't%%'"
    )
    text = render(read(marts.url), Format.SLACK)
    assert len(text) <= SLACK_LENGTH
    assert re.search(r"\d+ more changes not shown", text)
    assert "Data up to" in text


def test_digest_is_printed_without_a_destination_or_with_a_format(
    dora: Dora, webhook: Webhook
) -> None:
    done = dora()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("All teams: week of 12 January 2026\n")
    done = dora("--format", "html", "--team", "web", DIGEST_TO=f"json://{webhook.address}/")
    assert done.stdout.startswith("<h2>Web: week of 12 January 2026</h2>")
    assert webhook.received == []


def test_digest_is_sent_once_a_week_unless_asked_again(
    dora: Dora, webhook: Webhook, marts: Marts
) -> None:
    to = {"DIGEST_TO": f"json://{webhook.address}/{TOKEN}"}
    first = dora(**to)
    assert first.returncode == 0, first.stderr
    assert first.stdout == "digest: the week of 2026-01-12 was sent to destination 1 (json://…)\n"
    (message,) = webhook.received
    assert message["title"] == "All teams: week of 12 January 2026"
    assert f"**Web**: {WORSE}" in message["message"]
    second = dora(**to)
    assert (second.returncode, len(webhook.received)) == (0, 1)
    assert "was sent to destination 1 (json://…) on " in second.stdout
    assert dora("--again", **to).returncode == 0
    assert len(webhook.received) == 2
    # Another team, another destination and another week are separate.
    dora("--team", "web", **to)
    dora("--to", f"json://{webhook.address}/other", "--format", "text")
    marts.run("update marts.dim_build set as_of = as_of + interval '7 days'")
    dora(**to)
    assert len(webhook.received) == 5
    assert webhook.received[3]["message"].startswith("Worse: Web: ")


def test_refused_digest_is_sent_by_the_next_run(dora: Dora, webhook: Webhook) -> None:
    good, bad = f"json://{webhook.address}/200", f"json://{webhook.address}/403"
    done = dora(DIGEST_TO=f"{bad},{good},json://127.0.0.1:1/")
    assert done.returncode == 1
    assert "not sent to destination 3 (json://…): there is no connection" in done.stderr
    assert "was sent to destination 2 (json://…)" in done.stdout
    assert "was not sent to destination 1 (json://…): the server refused it (403)" in done.stderr
    assert len(webhook.received) == 2
    assert dora(DIGEST_TO=f"{bad},{good}").returncode == 1
    assert len(webhook.received) == 3


@pytest.mark.parametrize("kind", ["hang", "drop", "504"])
def test_unconfirmed_digest_is_told_and_not_sent_again(
    dora: Dora, webhook: Webhook, kind: str
) -> None:
    to = {"DIGEST_TO": f"json://{webhook.address}/{kind}?rto=1&retry=3"}
    done = dora(**to)
    assert done.returncode == 1
    assert "may have been sent to destination 1 (json://…)" in done.stderr
    done = dora(**to)
    assert done.returncode == 1
    assert "look there; --again sends it" in done.stderr
    assert len(webhook.received) == 1


def test_digest_killed_between_sending_and_recording_is_not_sent_again(
    dora: Dora, webhook: Webhook, marts: Marts, tmp_path: Path
) -> None:
    to = f"json://{webhook.address}/"
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "digest"],
        env=environment(marts.url, DIGEST_TO=to),
        cwd=tmp_path,
    )
    webhook.on_message = process.kill
    assert process.wait(60) == -signal.SIGKILL
    webhook.on_message = lambda: None
    assert len(webhook.received) == 1
    done = dora(DIGEST_TO=to)
    assert done.returncode == 1
    assert "may have been sent to destination 1 (json://…) on " in done.stderr
    assert len(webhook.received) == 1
    assert dora("--again", DIGEST_TO=to).returncode == 0
    assert len(webhook.received) == 2


def test_two_digests_at_once_send_one(webhook: Webhook, marts: Marts, tmp_path: Path) -> None:
    webhook.on_message = lambda: time.sleep(1)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "cli", "digest"],
            env=environment(marts.url, DIGEST_TO=f"json://{webhook.address}/"),
            cwd=tmp_path,
        )
        for _ in range(2)
    ]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(webhook.received) == 1


def test_mail_has_the_text_with_addresses(dora: Dora, mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    mail = "?from=dora@acme.example&to=a@acme.example,b@acme.example&mode=insecure"
    done = dora("--team", "web", DIGEST_TO=f"mailto://dora:{TOKEN}@127.0.0.1:{port}{mail}")
    assert done.returncode == 0, done.stderr
    assert len(box.mails) == 2
    message = message_from_bytes(box.mails[0], policy=policy.default)
    assert message["Subject"] == "Web: week of 12 January 2026"
    assert message.get_content_type() == "text/plain"
    assert "https://github.com/acme/lib/pull/9" in message.get_content()
    assert f"Worse: {WORSE}" in message.get_content()


def test_slack_gets_our_text_unchanged(
    marts: Marts, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NotifySlack, "webhook_url", f"http://{webhook.address}/services")
    digest = hostile(marts)
    for url in (
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7?blocks=no",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7",
    ):
        (destination,) = parse_destinations([url], "--to")
        assert destination.send(destination.message(digest)) == (Status.SENT, "")
        ((attachment,),) = [webhook.received.pop()["attachments"]]
        _, section = attachment["blocks"]
        assert section["text"] == {
            "type": "mrkdwn",
            "text": render(digest, Format.SLACK, heading=False),
        }


def test_teams_gets_a_card_with_markdown(dora: Dora, tmp_path: Path) -> None:
    certificate = tmp_path / "server.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-keyout", certificate, "-out", tmp_path / "server.crt"),
        ],
        check=True,
        capture_output=True,
    )
    with certificate.open("ab") as file:
        file.write((tmp_path / "server.crt").read_bytes())
    webhook = Webhook(certificate)
    to = f"workflows://{webhook.address}/{TOKEN}/{TOKEN}?verify=no"
    done = dora("--team", "web", DIGEST_TO=to, LOG_LEVEL="DEBUG")
    webhook.close()
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    (message,) = webhook.received
    title, text = (
        block for block in message["attachments"][0]["content"]["body"] if "text" in block
    )
    assert title["text"] == "Web: week of 12 January 2026"
    assert text["text"].startswith(f"- Worse: {WORSE}\n\n")
    assert "[Ready](https://github.com/acme/lib/pull/9)" in text["text"]


def test_secrets_are_in_no_output(
    dora: Dora, webhook: Webhook, mailbox: tuple[Mailbox, int]
) -> None:
    _, port = mailbox
    to = [
        f"json://user:{TOKEN}@{webhook.address}/{TOKEN}",
        f"json://user:{TOKEN}@{webhook.address}/403/{TOKEN}",
        f"json://user:{TOKEN}@127.0.0.1:1/{TOKEN}",
        f"mailto://dora:{TOKEN}x@127.0.0.1:{port}?from=d@acme.example&to=a@acme.example"
        "&mode=insecure",
        f"workflows://127.0.0.1:1/{TOKEN}/{TOKEN}",
        f"slack://{TOKEN}",
        TOKEN,
    ]
    done = dora(DIGEST_TO=json.dumps(to), LOG_LEVEL="DEBUG")
    assert done.returncode == 2
    assert done.stderr.count("is not a URL that Apprise knows") == 2
    assert TOKEN not in done.stdout + done.stderr
    done = dora(DIGEST_TO=json.dumps(to[:5]), LOG_LEVEL="DEBUG")
    assert done.returncode == 1
    assert "there is no connection to the server" in done.stderr
    assert "destination 4 (mailto://…): the server refused it (535)" in done.stderr
    assert "destination 5 (workflows://…)" in done.stderr
    assert TOKEN not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("{0}/a, {0}/b,\n", None),
        ('["{0}/a", "{0}/b"]', None),
        ("to.txt", "{0}/a\n{0}/b\n"),
    ],
    ids=["commas", "JSON", "file"],
)
def test_destinations_are_separated_by_commas_or_in_json_or_in_a_file(
    dora: Dora, webhook: Webhook, tmp_path: Path, written: str, text: str | None
) -> None:
    base = f"json://{webhook.address}"
    if text is not None:
        (tmp_path / "to.txt").write_text(text.format(base))
    done = dora(DIGEST_TO=written.format(base))
    assert done.returncode == 0, done.stderr
    assert len(webhook.received) == 2


def test_slow_server_has_time_to_confirm(dora: Dora, webhook: Webhook) -> None:
    webhook.on_message = lambda: time.sleep(5)
    done = dora("--to", f"json://{webhook.address}/a,json://{webhook.address}/b")
    assert done.returncode == 0, done.stderr
    assert len(webhook.received) == 2


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (["--format", "pdf"], {}, "--format 'pdf' is not known"),
        (["--again"], {}, "--again needs a destination"),
        (["--team", "nobody"], {}, "There is no team 'nobody'"),
        ([], {"DIGEST_TO": "nowhere.txt"}, "DIGEST_TO 'nowhere.txt' cannot be read"),
        ([], {"DIGEST_TO": "[1]"}, "DIGEST_TO is not a JSON array of texts"),
    ],
)
def test_bad_usage_ends_with_two(
    dora: Dora, arguments: list[str], settings: dict[str, str], said: str
) -> None:
    done = dora(*arguments, **settings)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
