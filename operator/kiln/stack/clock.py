"""The wall clock, and times as Kubernetes writes them."""

import datetime


def now() -> datetime.datetime:
    """The time, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def stamp() -> str:
    """The time as RFC 3339 with whole seconds: ``2026-01-01T12:00:00Z``."""
    return now().strftime("%Y-%m-%dT%H:%M:%SZ")
