"""The lab's environment: where Kubernetes and OpenStack are, and clients for both."""

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = ("KUBECONFIG", "OS_CLIENT_CONFIG_FILE", "OS_CLOUD")


@cache
def environment() -> dict[str, str]:
    """The process environment with the lab's variables in it, from `make lab-env`, or one's own with LAB=external.

    Raises RuntimeError if no lab is up.
    """
    if os.environ.get("LAB") == "external":
        missing = [name for name in VARIABLES if name not in os.environ]
        if missing:
            raise RuntimeError(f"LAB=external needs {', '.join(missing)}")
        return dict(os.environ)
    # A shell reads what is meant for shells; `env -0` shows what it understood.
    shown = subprocess.run(
        ["bash", "-c", 'set -e; exports=$(make -s lab-env); eval "$exports"; env -0'],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        env=_without_make(),
    ).stdout
    found = dict(variable.split("=", 1) for variable in shown.split("\0") if "=" in variable)
    missing = [name for name in VARIABLES if name not in found]
    if missing:
        raise RuntimeError(f"the lab does not say {', '.join(missing)}: run `make lab-up`")
    return found


def _without_make() -> dict[str, str]:
    """The environment without what a surrounding make leaves in it."""
    return {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}}


def kubectl(*arguments: str, stdin: str | None = None, check: bool = True, timeout: float = 120) -> str:
    """Run kubectl in the lab and give back what it printed. Raises CalledProcessError with its words."""
    done = subprocess.run(
        ["kubectl", *arguments],
        input=stdin,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode:
        raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout if not done.returncode else done.stderr


def connection(cloud: str = "") -> Any:
    """An openstacksdk connection to one of the lab's clouds (admin, demo, alt); the default is OS_CLOUD."""
    import openstack

    settings = environment()
    os.environ["OS_CLIENT_CONFIG_FILE"] = settings["OS_CLIENT_CONFIG_FILE"]
    return openstack.connect(cloud=cloud or settings["OS_CLOUD"])
