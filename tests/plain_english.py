"""Find phrasings that readers stumble over: `python -m tests.plain_english`, part of `make lint`.

Prints `file:line: phrase -> advice` for each and exits with 1 if there are any. A question may
contain them.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = {".py", ".md", ".sql", ".yml", ".toml", ".vue", ".ts", ".sh", ".graphql", ""}
# Facts from elsewhere, and this list itself.
SKIPPED = re.compile(
    r"findings/|tests/test_house.py|tests/fixtures/|demo/schema.graphql|tests/plain_english.py|requirements/|LICENSE"
)
# The end of a line with the next one's comment or quotation marks.
LINE_END = re.compile(r"[\"']?[ \t]*\n[ \t]*(?:#|--|//|\*|>)?[ \t]*(?:[rf]?[\"'])?")
ADVICE = {
    r"(?<!see )what (?:is|was|were|are|has|have|had|there is)": "use a noun",
    r"where (?:it|there|they)": "if or when; for a place, name it",
    r"(?:of|on) (?:its|their|one's|his|her|my|our|your) own": "separate, or leave it out",
    r"by (?:itself|themselves)": "automatically",
    r"(?<!there )is no(?! longer| more| fewer| less| later| earlier)": "is not a, or has no",
    r"(?:go|goes|going|went) on": "continue",
    r"out of reach|went away|is away": "unavailable, or name the error",
    r"of late|as it stands|in one's own|to the letter": "leave it out",
}
PATTERNS = [
    (re.compile(rf"\b(?:{pattern})(?![\w-])".replace(" ", r"\s"), re.IGNORECASE), advice)
    for pattern, advice in ADVICE.items()
]


def find(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, phrase and advice for each of the phrasings, unless its sentence asks."""
    text = LINE_END.sub("\n", text)
    for pattern, advice in PATTERNS:
        for found in pattern.finditer(text):
            sentence = re.split(r"[.!?](?:\s|[\"'*`)]|$)", text[found.end() :], maxsplit=1)[0]
            if text[found.end() + len(sentence) :][:1] != "?":
                line = text.count("\n", 0, found.start()) + 1
                yield line, " ".join(found[0].split()), advice


def main() -> int:
    """Check every tracked text file."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    count = 0
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in SUFFIXES and not SKIPPED.match(name) and path.is_file():
            for line, phrase, advice in find(path.read_text("utf-8", errors="ignore")):
                print(f"{name}:{line}: {phrase!r} -> {advice}")
                count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
