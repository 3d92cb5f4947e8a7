"""Finds the pull requests and commits that a pull request reverts: by title, body and branch."""

import re

# GitHub's own button writes the body "Reverts acme/web#12" and the branch `revert-12-name`.
_BRANCH = re.compile(r"revert-(\d+)-")
_TITLE = re.compile(r'Revert "(?!Revert )(.*)"', re.IGNORECASE | re.DOTALL)
_IN_TITLE = re.compile(r"\(#(\d+)\)\s*$")
_LINE = re.compile(r"^[ \t]*Reverts:?[ \t]+(.+)$", re.IGNORECASE | re.MULTILINE)
_REFERENCE = re.compile(
    r"(?:https?://[^/\s]+/(?P<address>[\w.-]+/[\w.-]+)/pull/|(?P<name>[\w-]+/[\w.-]+)?#)"
    r"(?P<number>\d+)\b"
)
_SEPARATOR = re.compile(r"[\s,]*(?:and\b|&)?[\s,]*")
# git writes this line; in a squashed commit's message it may be in the middle of a line.
_COMMIT = re.compile(r"\bThis reverts commit ([0-9a-f]{7,40})\b", re.IGNORECASE)


def find_reverts(repository: str, title: str, body: str, branch: str) -> str | None:
    """Return the reverted pull requests (`#12`) and commits, separated by spaces, or None.

    Pull requests of other repositories are left out. The title of a reverted revert is ignored: it
    names the pull request that was reverted first.
    """
    found: dict[str, None] = {}
    if branched := _BRANCH.match(branch):
        found[f"#{branched[1]}"] = None
    for line in _LINE.finditer(body):
        for number in _numbers(line[1], repository):
            found[f"#{number}"] = None
    for commit in _COMMIT.finditer(body):
        found[commit[1].lower()] = None
    titled = _TITLE.match(title.strip())
    if titled and (number_in_title := _IN_TITLE.search(titled[1])):
        found.setdefault(f"#{number_in_title[1]}")
    return " ".join(found) or None


def _numbers(text: str, repository: str) -> list[str]:
    """Return the pull request numbers at the start of a line: `#12, #13 and acme/web#14`."""
    numbers, position = [], 0
    while reference := _REFERENCE.match(text, position):
        name = reference["address"] or reference["name"] or repository
        if name.casefold() == repository.casefold():
            numbers.append(str(int(reference["number"])))
        separator = _SEPARATOR.match(text, reference.end())
        position = separator.end() if separator else reference.end()
    return numbers
