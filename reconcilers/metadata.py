"""Metadata of servers and volumes: the services take text alone."""

import json
from collections.abc import Mapping
from typing import Any


def texts(values: Mapping[str, Any] | None) -> dict[str, str]:
    """Everything that is no text is sent as JSON (Heat's meta_serialize)."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in (values or {}).items()}
