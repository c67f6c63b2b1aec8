"""How tasks are named, so that the debug pages can tell whose they are."""

from typing import Final

PASS: Final = "pass "
"""How the names of the reconciliations' tasks begin; the Stack's name follows."""
