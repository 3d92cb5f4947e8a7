"""Where a digest is sent: Apprise's URLs. They contain secrets, so only their schemas are shown."""

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from apprise import Apprise, AppriseAsset, AppriseResultStatus, NotifyBase, NotifyFormat
from apprise.plugins.slack import NotifySlack

from cli.digest_content import Digest
from cli.digest_rendering import Format, render, subject
from dora.errors import ConfigurationError
from dora.remote_config import read_reference
from dora.settings import Settings

SECONDS = 30.0
_SCHEMA = re.compile(r"([a-z][a-z0-9+.-]{0,30})://", re.IGNORECASE)
# A comma inside of a URL, as in `mailto://…?to=a@acme.example,b@acme.example`, separates nothing.
_SEPARATOR = re.compile(r"[,\s]+(?=[a-z][a-z0-9+.-]*://)", re.IGNORECASE)
# What Apprise logs if the message has certainly not arrived: the server refused it (a gateway's 502
# and 504 say nothing about the server behind it), or there was no connection.
_REFUSED = re.compile(r"error=(?!50[24])([45]\d\d)\b|\((\d{3}), b")
_NO_CONNECTION = re.compile(
    r"Connection refused|Failed to (?:establish|resolve)|connect timeout|SSLError|SSL:"
    r"|Name or service not known|No route to host|Network is unreachable"
)
_BODY = {
    Format.TEXT: NotifyFormat.TEXT,
    Format.MARKDOWN: NotifyFormat.MARKDOWN,
    Format.HTML: NotifyFormat.HTML,
    # Passed on as it is.
    Format.SLACK: None,
}


class Status(StrEnum):
    """The result of an attempt. If `UNCLEAR`, the message may have arrived."""

    SENT = "sent"
    FAILED = "failed"
    UNCLEAR = "unclear"


class Message(NamedTuple):
    """A digest for one destination."""

    title: str
    body: str
    form: Format


@dataclass(frozen=True)
class Destination:
    """A destination; `str` shows its number and its schema."""

    number: int
    schema: str
    key: str
    """A slow hash of the URL, so that nobody can guess a password in it from the database."""
    _service: NotifyBase = field(repr=False)

    def __str__(self) -> str:
        return f"destination {self.number} ({self.schema}://…)"

    def message(self, digest: Digest, form: Format | None = None) -> Message:
        """Return a digest in this format, or in the one that the destination shows best."""
        form = form or self._format()
        return Message(subject(digest), render(digest, form, heading=False), form)

    def send(self, message: Message) -> tuple[Status, str]:
        """Send a message once; return the result, and the reason unless it was sent."""
        sender = Apprise(asset=self._service.asset)
        sender.add(self._service)
        with _silence():
            result = sender.notify(
                body=message.body,
                title=message.title,
                body_format=_BODY[message.form],
                log_level=logging.DEBUG,
            )
            lines = [(entry.level, entry.message) for entry in result.logs()]
        if result.status == AppriseResultStatus.SUCCESS:
            return Status.SENT, ""
        if any(level == "INFO" and "Sent " in message for level, message in lines):
            return Status.UNCLEAR, "some of its recipients have it, others may not"
        # A payload could contain any of these words.
        text = "\n".join(message for _, message in lines if "Payload: " not in message)
        if found := _REFUSED.search(text):
            return Status.FAILED, f"the server refused it ({found[1] or found[2]})"
        if _NO_CONNECTION.search(text):
            return Status.FAILED, "there is no connection to the server"
        return Status.UNCLEAR, "the server did not confirm it"

    def _format(self) -> Format:
        """The format for this service, or the one in the URL (`format=`)."""
        if isinstance(self._service, NotifySlack):
            return Format.SLACK
        for form in (Format.MARKDOWN, Format.TEXT):
            if self._service.resolve_format(_BODY[form]) == _BODY[form]:
                return form
        return Format.HTML


def configured_destinations(settings: Settings) -> list[Destination]:
    """Return the destinations of `DIGEST_TO`; none if it is not set.

    Raise `ConfigurationError` with every fault, without a secret.
    """
    if settings.digest_to is None:
        return []
    text = settings.digest_to.get_secret_value().strip()
    if text.startswith(("s3://", "ssm:")) or not (text.startswith("[") or _SCHEMA.search(text)):
        text = read_reference(text, "DIGEST_TO").strip()
    return parse_destinations([text], "DIGEST_TO")


def parse_destinations(texts: Sequence[str], setting: str) -> list[Destination]:
    """Return the destinations in these texts, each once; `setting` names them in the error."""
    urls = [url for text in texts for url in _urls(text, setting)]
    found: list[Destination] = []
    faults = []
    for number, url in enumerate(dict.fromkeys(urls), start=1):
        schema = _SCHEMA.match(url)
        # Apprise's own retries could send a message twice.
        asset = AppriseAsset(
            app_id="dora-metrics",
            app_desc="dora-metrics",
            service_timeout=0,
            result_log_disk_size=0,
        )
        with _silence():
            service = Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if schema is None or not isinstance(service, NotifyBase):
            shown = f" ({schema[1].lower()}://…)" if schema else ""
            faults.append(
                f"{setting}: destination {number}{shown} is not a URL that Apprise knows: "
                "docs/digest.md has examples"
            )
            continue
        service.retry = 0
        # Apprise would wait four seconds. A timeout leaves it open whether the message has arrived.
        if "cto=" not in url:
            service.socket_connect_timeout = SECONDS
        if "rto=" not in url:
            service.socket_read_timeout = SECONDS
        if isinstance(service, NotifySlack):
            # Without blocks, Apprise escapes our text again and turns names into mentions.
            service.use_blocks = True
            service.include_footer = False
        found.append(Destination(number, schema[1].lower(), _key(url), service))
    if faults:
        raise ConfigurationError(faults)
    return found


def _urls(text: str, setting: str) -> list[str]:
    if not text.startswith("["):
        return _SEPARATOR.split(text.strip(", \n"))
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ConfigurationError(f"{setting} is not a JSON array of texts")
    return [url.strip() for url in found]


def _key(url: str) -> str:
    return hashlib.scrypt(url.encode(), salt=b"raw.digests", n=2**14, r=8, p=1, dklen=16).hex()


@contextmanager
def _silence() -> Iterator[None]:
    """Keep URLs and tokens out of our log: these libraries log them."""
    loggers = [logging.getLogger(name) for name in ("apprise", "urllib3")]
    before = [(logger.propagate, logger.level) for logger in loggers]
    # Without a handler, logging would print warnings to stderr.
    handler = logging.NullHandler()
    for logger in loggers:
        logger.propagate = False
        # The results of Apprise have only what its logger accepts.
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, (propagates, level) in zip(loggers, before, strict=True):
            logger.propagate = propagates
            logger.setLevel(level)
            logger.removeHandler(handler)
