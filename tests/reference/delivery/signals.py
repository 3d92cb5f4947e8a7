"""Reverts and hotfixes among pull requests, and references in texts."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from .facts import Issue, PullRequest

Key = tuple[str, int]

NAME = r"[\w.-]+/[\w.-]+"
REFERENCE = re.compile(rf"(?:https://github\.com/)?({NAME})?(?:#|/pull/)?(\d+)")
SHA = re.compile(r"[0-9a-f]{7,40}")
REVERT_TITLE = re.compile(r'revert "(.*)"', re.IGNORECASE)
DOUBLE_REVERT_TITLE = re.compile(r'(revert "(revert|reapply) "|reapply ")', re.IGNORECASE)
NUMBER_IN_TITLE = re.compile(r"\(#(\d+)\)$")
REVERTS_NUMBER = re.compile(rf"^\s*reverts\s+({NAME})?#(\d+)", re.IGNORECASE | re.MULTILINE)
REVERTS_COMMIT = re.compile(
    r"^\s*this reverts commit ([0-9a-f]{7,40})", re.IGNORECASE | re.MULTILINE
)
REVERT_BRANCH = re.compile(r"revert-(\d+)-")
DOUBLE_REVERT_BRANCH = re.compile(r"revert-\d+-revert-\d+-")
HOTFIX_BRANCH = re.compile(r"hotfix[/-]", re.IGNORECASE)


@dataclass(frozen=True)
class Reverts:
    """The pull requests that are reverts or reverts of reverts, and the changes they revert."""

    reverts: Mapping[Key, frozenset[Key]] = field(default_factory=dict)
    double: frozenset[Key] = frozenset()

    @classmethod
    def of(cls, merged: Iterable[PullRequest]) -> "Reverts":
        merged = list(merged)
        known = {pull_request.key: pull_request for pull_request in merged}
        reverts = {
            pull_request.key: _reverted(pull_request, known)
            for pull_request in merged
            if _says_revert(pull_request)
        }
        double = frozenset(
            key
            for key, reverted in reverts.items()
            if _says_double_revert(known[key])
            or (reverted and all(other in reverts for other in reverted))
        )
        return cls(reverts, double)

    def is_revert(self, key: Key) -> bool:
        """Whether a pull request reverts a change that is not a revert."""
        return key in self.reverts and key not in self.double

    def reverted_by(self, key: Key) -> frozenset[Key]:
        """Return the changes that a revert reverts; none for a revert of a revert."""
        if not self.is_revert(key):
            return frozenset()
        return frozenset(other for other in self.reverts[key] if other not in self.reverts)


def _says_revert(pull_request: PullRequest) -> bool:
    return bool(
        REVERT_TITLE.match(pull_request.title)
        or DOUBLE_REVERT_TITLE.match(pull_request.title)
        or _numbers(pull_request)
        or REVERTS_COMMIT.search(pull_request.body)
        or REVERT_BRANCH.match(pull_request.head_ref or "")
    )


def _says_double_revert(pull_request: PullRequest) -> bool:
    return bool(
        DOUBLE_REVERT_TITLE.match(pull_request.title)
        or DOUBLE_REVERT_BRANCH.match(pull_request.head_ref or "")
    )


def _numbers(pull_request: PullRequest) -> list[int]:
    """Return the numbers that the body says are reverted in the same repository."""
    return [
        int(number)
        for repository, number in REVERTS_NUMBER.findall(pull_request.body)
        if repository.lower() in ("", pull_request.repository.lower())
    ]


def _reverted(pull_request: PullRequest, known: Mapping[Key, PullRequest]) -> frozenset[Key]:
    """Return the changes that a pull request reverts, by its body, else branch, else title."""
    repository = pull_request.repository
    others = [
        other
        for other in known.values()
        if other.repository == repository and other.key != pull_request.key
    ]
    shas = [sha.lower() for sha in REVERTS_COMMIT.findall(pull_request.body)]
    numbers = _numbers(pull_request)
    by_body = {
        other.key
        for other in others
        if other.number in numbers
        or any((other.merge_commit_sha or "").startswith(sha) for sha in shas)
    }
    if by_body:
        return frozenset(by_body)
    title = REVERT_TITLE.match(pull_request.title)
    reverted_title = title[1] if title else ""
    for match in (
        REVERT_BRANCH.match(pull_request.head_ref or ""),
        NUMBER_IN_TITLE.search(reverted_title),
    ):
        if match and (repository, int(match[1])) in known:
            return frozenset({(repository, int(match[1]))} - {pull_request.key})
    same_title = [
        other
        for other in others
        if title and other.title == reverted_title and _before(other, pull_request)
    ]
    return frozenset({max(same_title, key=_merge_order).key} if same_title else ())


def _merge_order(pull_request: PullRequest) -> tuple[datetime, int]:
    assert pull_request.merged_at is not None, "only merged pull requests are changes"
    return pull_request.merged_at, pull_request.number


def _before(one: PullRequest, other: PullRequest) -> bool:
    return _merge_order(one) < _merge_order(other)


def is_hotfix(pull_request: PullRequest) -> bool:
    return bool(HOTFIX_BRANCH.match(pull_request.head_ref or "")) or "hotfix" in (
        label.lower() for label in pull_request.labels
    )


def pull_request_key(text: str | None, repository: str | None) -> Key | None:
    """Parse `12`, `#12`, `owner/name#12` or a pull request's URL; `repository` is the default.

    A number of seven digits or more without `#` is a commit.
    """
    match = REFERENCE.fullmatch((text or "").strip())
    if match is None or SHA.fullmatch((text or "").strip()):
        return None
    named = match[1] or repository
    return None if named is None else (named, int(match[2]))


def commit_sha(text: str | None) -> str | None:
    """Parse a commit hash of at least seven digits."""
    stripped = (text or "").strip().lower()
    return stripped if SHA.fullmatch(stripped) else None


def line_of(issue: Issue, name: str) -> str | None:
    """Return the text after `Name:` at the beginning of a line of an issue's body."""
    match = re.search(rf"^\s*{name}:[ \t]*(\S.*?)\s*$", issue.body, re.IGNORECASE | re.MULTILINE)
    return match[1] if match else None
