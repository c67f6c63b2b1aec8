"""What counts as a secret in a text, for everything that keeps hidden values out of texts."""

from typing import Final

SHORTEST_SECRET: Final = 4
"""Characters. Shorter values are parts of ordinary words: cutting them out would make texts unreadable, and tell where
they are."""
MARK: Final = "***"
"""What stands in the place of a secret that was cut out of a text."""
