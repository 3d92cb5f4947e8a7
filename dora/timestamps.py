"""Timestamps for Step Functions."""

from datetime import datetime, timedelta


def whole_seconds(at: datetime) -> str:
    """Write a UTC instant in ISO 8601 with a Z, rounded up to a second.

    Step Functions drops fractions of a second; it must not resume too early.
    """
    return f"{at + timedelta(microseconds=999_999):%Y-%m-%dT%H:%M:%SZ}"
