"""The peers: a plain script always, Heat, OpenTofu and ORC if `PEERS` names them."""

import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KILN_HOME = Path(os.environ.get("KILN_HOME") or Path.home() / ".cache/kiln")
PROGRAMS = KILN_HOME / "peers"
_LOGS = KILN_HOME / "log"


class Calls:
    """Counts requests in the access logs of the lab's APIs, by their user agents."""

    def __init__(self, agent: str) -> None:
        self._agent = re.compile(agent)
        self._begin = {path: path.stat().st_size for path in _LOGS.glob("*.access")}

    def count(self) -> int | None:
        """How many since the object was made; None where the lab writes no logs here."""
        if not self._begin:
            return None
        time.sleep(0.3)  # a line is written after its answer
        found: Counter[str] = Counter()
        for path, begin in self._begin.items():
            with path.open("rb") as log:
                log.seek(begin)
                lines = log.read().decode(errors="replace").splitlines()
            found[path.stem] = sum(1 for line in lines if self._agent.search(line))
        return found.total()


@contextmanager
def stopwatch() -> Iterator[list[float]]:
    """Seconds of the block, in a list that is filled at its end."""
    taken: list[float] = []
    begun = time.monotonic()
    yield taken
    taken.append(time.monotonic() - begun)


def build(name: str) -> None:
    """Build a peer unless it is there."""
    subprocess.run([str(Path(__file__).with_name("build.sh")), name], check=True)
