"""Find phrasings that readers stumble over: `python -m tests.plain_english`, part of `make lint`.

Prints `file:line: phrase -> advice` for each and exits with 1 if there are any. A question may
contain them.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = {".py", ".md", ".sql", ".yml", ".toml", ".vue", ".ts", ".sh", ".graphql", ""}
# Tools' and generated files, text from elsewhere, and the phrasings themselves.
SKIPPED_FOLDERS = {"node_modules", "build", "dist", "target", "logs", "fixtures", "findings"}
SKIPPED_FOLDERS |= {"requirements", "__pycache__"}
SKIPPED_FILES = {"schema.graphql", "plain_english.py", "test_house.py"}
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


def text_files() -> Iterator[Path]:
    """Yield the project's text files; of hidden folders only those of CI."""
    for folder, below, names in os.walk(ROOT):
        below[:] = [
            name
            for name in below
            if name not in SKIPPED_FOLDERS
            and not name.endswith(".egg-info")
            and (not name.startswith(".") or name in {".ci", ".github"})
        ]
        for name in names:
            if Path(name).suffix in SUFFIXES and name not in SKIPPED_FILES:
                yield Path(folder, name)


def main() -> int:
    """Check every text file; return the exit code."""
    count = 0
    for path in text_files():
        for line, phrase, advice in find(path.read_text("utf-8", errors="ignore")):
            print(f"{path.relative_to(ROOT)}:{line}: {phrase!r} -> {advice}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
