"""`python -m harness.mistake run ...` is `kiln run` with a mistake: to reconcile a Stack named ``STACK`` raises."""

import sys
from typing import Any

STACK = "mistake"


def main() -> int:
    """Make the mistake, and run `kiln` with the command line."""
    from kiln import cli
    from kiln.controller.controller import StackController

    right = StackController.run

    async def wrong(self: StackController, key: Any, run: Any) -> Any:
        if key.name == STACK:
            raise AssertionError("a mistake that a test makes")
        return await right(self, key, run)

    StackController.run = wrong  # type: ignore[method-assign]
    return int(cli.main() or 0)


if __name__ == "__main__":
    sys.exit(main())
