"""Instants as Step Functions reads them."""

from datetime import datetime, timedelta


def whole_seconds(at: datetime) -> str:
    """Write an instant of UTC in ISO 8601 with a Z, rounded up: Step Functions cuts off the rest.

    So it never resumes before the instant that it was told.
    """
    return f"{at + timedelta(microseconds=999_999):%Y-%m-%dT%H:%M:%SZ}"
