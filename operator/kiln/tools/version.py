"""`kiln version`: which Kiln this is, on which Python."""

import argparse
import platform
from importlib import metadata


def add_command(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add `version` to the command line."""
    parser = subparsers.add_parser("version", help=help_text, description="Prints the version of Kiln and of Python.")
    parser.set_defaults(handler=_run)


def _run(_arguments: argparse.Namespace) -> int:
    print(f"kiln {metadata.version('kiln')} (Python {platform.python_version()})")
    return 0
