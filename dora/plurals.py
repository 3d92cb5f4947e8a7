"""Counts with nouns for messages."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return "1 team" or "2,000 teams"; without `many`, the plural is `one` with an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
