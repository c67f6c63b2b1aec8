"""Hooks of the documentation's site: pages that lie elsewhere in the repository, and links to files beside docs/."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {"index.md": "README.md", "chart.md": "charts/kiln/README.md"}
"""Pages of the site whose text is in another folder, by the page."""
_LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie elsewhere."""
    for page, source in SOURCES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001 - mkdocs' signature
    """Make links lead to pages of the site; files that are none become their path. Raises ``FileNotFoundError``."""
    source = ROOT / SOURCES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    pages = {(ROOT / text).resolve(): name for name, text in SOURCES.items()}

    def moved(link: "re.Match[str]") -> str:
        target = (source.parent / link[2]).resolve()
        if not target.exists():
            raise FileNotFoundError(f"{source.relative_to(ROOT)} links to {link[2]}, which is not there")
        if target in pages:
            return f"{link[1]}{pages[target]}{link[3]}"
        if target.is_relative_to(ROOT / "docs"):
            return f"{link[1]}{target.relative_to(ROOT / 'docs')}{link[3]}"
        return f"{link[1]}{config.extra['repository']}/{target.relative_to(ROOT)}{link[3]}"

    return _LINK.sub(moved, markdown)
