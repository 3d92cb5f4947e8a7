"""Parses the configured repositories: `owner/name`, `owner/*`, `!owner/name`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dora.errors import ConfigurationError
from dora.remote_config import read_reference

# Logins: letters, digits and hyphens (and _ for GitHub Enterprise's managed users).
_OWNER = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?"
_NAME = re.compile(rf"{_OWNER}/[A-Za-z0-9._-]{{1,100}}")
_ALL = re.compile(rf"{_OWNER}/\*")


@dataclass(frozen=True)
class Selection:
    """The repositories that `REPOSITORIES` selects; `left_out` is in lower case."""

    names: tuple[str, ...]
    owners: tuple[str, ...]
    left_out: frozenset[str]

    def has(self, repository: str) -> bool:
        """Return whether an owner's repository is not left out."""
        return repository.casefold() not in self.left_out


def parse_repositories(configured: str | None, source: str = "REPOSITORIES") -> Selection:
    """Parse the setting or the file it refers to; raise `ConfigurationError` with every fault."""
    text = (configured or "").strip()
    if text.startswith(("s3://", "ssm:")) or _is_file(text):
        text = read_reference(text, source)
    entries = [entry for entry in re.split(r"[,\s]+", text) if entry]
    if not entries:
        raise ConfigurationError(
            f"{source} is not set; use owner/name, owner/* or several, separated by commas"
        )
    return _select(entries, source)


def _is_file(text: str) -> bool:
    if not text or "," in text or "\n" in text:
        return False
    try:
        return Path(text).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):
        return False


def _select(entries: Sequence[str], source: str) -> Selection:
    names: dict[str, str] = {}
    owners: dict[str, str] = {}
    left_out: set[str] = set()
    faults = []
    for entry in entries:
        if entry.startswith("!") and _NAME.fullmatch(entry[1:]):
            left_out.add(entry[1:].casefold())
        elif _ALL.fullmatch(entry):
            owners.setdefault(entry.casefold(), entry.removesuffix("/*"))
        elif _is_name(entry):
            names.setdefault(entry.casefold(), entry)
        else:
            faults.append(f"{source}: {entry!r} does not have the form owner/name")
    if faults:
        raise ConfigurationError(faults)
    kept = tuple(name for key, name in names.items() if key not in left_out)
    if not kept and not owners:
        raise ConfigurationError(f"{source} leaves out every repository that it names")
    return Selection(kept, tuple(owners.values()), frozenset(left_out))


def _is_name(entry: str) -> bool:
    return bool(_NAME.fullmatch(entry)) and entry.split("/")[1] not in {".", ".."}
