"""A short run of the chaos driver; `make chaos KILLS=200 SEED=n` is the long one."""

import os
import time
from pathlib import Path

import pytest
from chaos.run import Chaos


@pytest.mark.timeout(400)
def test_kills_and_stops_leave_nothing_over_nothing_doubled_nothing_missing(
    installed: None, alone: None, tmp_path: Path
) -> None:
    seed = int(os.environ.get("SEED", time.time()))
    chaos = Chaos(seed, 6, 6, tmp_path)
    chaos.run()
    assert chaos.verdict == []
