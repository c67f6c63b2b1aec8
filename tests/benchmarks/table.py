"""Rows of the table: medians, and how they are written."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

BEGIN, END = "<!-- table: make bench MARKDOWN=docs/benchmarks.md -->", "<!-- end of the table -->"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a row has to reach; None: whatever it is."""

    text: str
    ratio: float | None = None
    seconds: float | None = None
    calls: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line: Kiln's seconds and calls to OpenStack, beside a peer's if there is one.

    ``held`` tells whether what is wanted besides seconds and calls was so. ``note`` has what else was measured.
    """

    work: str
    kiln: float
    calls: int
    wanted: Wanted
    peer_name: str = ""
    peer: float | None = None
    peer_calls: int | None = None
    held: bool = True
    note: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """The same for the same row of another run."""
        return self.work, self.peer_name

    @property
    def ratio(self) -> float | None:
        """Kiln's time by the peer's."""
        return self.kiln / self.peer if self.peer else None

    @property
    def met(self) -> bool:
        """Whether all is as wanted."""
        measured = (
            (self.ratio, self.wanted.ratio),
            (self.kiln, self.wanted.seconds),
            (self.calls, self.wanted.calls),
        )
        return self.held and all(limit is None or (value or 0) <= limit for value, limit in measured)

    @property
    def told(self) -> str:
        """The work, with whom it is compared to if not the script, and the note."""
        against = f", against {self.peer_name}" if self.peer_name not in {"", "script"} else ""
        return f"{self.work}{against}{f' ({self.note})' if self.note else ''}"


def middle(rows: list[Row]) -> Row:
    """One row of several runs: medians of what was measured; ``held`` only if it was so each time."""
    peers = [row.peer for row in rows if row.peer is not None]
    calls = [row.peer_calls for row in rows if row.peer_calls is not None]
    typical = sorted(rows, key=lambda row: row.kiln)[len(rows) // 2]
    return Row(
        work=typical.work,
        kiln=median(row.kiln for row in rows),
        calls=round(median(row.calls for row in rows)),
        wanted=typical.wanted,
        peer_name=typical.peer_name,
        peer=median(peers) if peers else None,
        peer_calls=round(median(calls)) if calls else None,
        held=all(row.held for row in rows),
        note=typical.note,
    )


def line(row: Row) -> str:
    """For the terminal."""
    ratio = f"{row.ratio:.2f} x" if row.ratio is not None else ""
    kiln = f"{row.kiln:7.2f} s | {ratio:7} | {row.calls:5} calls"
    return f"{row.told:84} | {_peer(row):26} | {kiln} | {row.wanted.text:24} | {_met(row)}"


def write_json(rows: Iterable[Row], path: Path) -> None:
    """Rows of work, peer, kiln (seconds), ratio, calls, wanted, met."""
    told: list[dict[str, Any]] = [
        {
            "work": row.told,
            "peer": round(row.peer, 3) if row.peer is not None else None,
            "kiln": round(row.kiln, 3),
            "ratio": round(row.ratio, 3) if row.ratio is not None else None,
            "calls": row.calls,
            "wanted": row.wanted.text,
            "met": row.met,
        }
        for row in rows
    ]
    path.write_text(json.dumps(told, indent=1) + "\n")


def write_markdown(rows: Iterable[Row], path: Path, runs: int, scale: float) -> None:
    """The table; between the marks of a file that has them, else as the whole file."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    often = f"Medians of {runs}" if runs > 1 else "One run"
    scaled = "" if scale == 1 else f" Counts are scaled by {scale:g}."
    table = [
        f"{os.cpu_count()} cores and {memory:.0f} GiB for everything: lab, peer and Kiln. {often}.{scaled}",
        "",
        "| work | peer | Kiln | ratio | Kiln's calls | wanted | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else "-"
        cells = (row.told, _peer(row) or "-", f"{row.kiln:.2f} s", ratio, str(row.calls), row.wanted.text, _met(row))
        table.append(f"| {' | '.join(cells)} |")
    text = "\n".join(table)
    old = path.read_text() if path.exists() else ""
    if BEGIN in old and END in old:
        before, after = old.split(BEGIN)[0], old.split(END)[1]
        text = f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"
    path.write_text(text if text.endswith("\n") else text + "\n")


def _peer(row: Row) -> str:
    if row.peer is None:
        return ""
    calls = f", {row.peer_calls} calls" if row.peer_calls is not None else ""
    return f"{row.peer_name} {row.peer:.1f} s{calls}"


def _met(row: Row) -> str:
    return "yes" if row.met else "no"
