"""Metadata of servers and volumes. The services accept only text."""

import json
from collections.abc import Mapping
from typing import Any


def texts(values: Mapping[str, Any] | None) -> dict[str, str]:
    """Encode all values that are not text as JSON (Heat's meta_serialize)."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in (values or {}).items()}
