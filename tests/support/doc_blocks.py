"""A page's Python blocks as the reader would save them, and run.

All ```` ```python ```` blocks of a page are one script, in their order, at the lines where the page
has them, so that a traceback names a line of the page. A block that begins with a comment like
`# best_tracker.py` is a file of its own beside that script.
"""

import re
import subprocess
import sys
from pathlib import Path

from hosts import Host

_FENCE = re.compile(r"^```(.*)$")
_NAMED = re.compile(r"^# ([\w/]+\.py)\n")


def blocks(page: Path) -> list[tuple[int, str]]:
    """Return each Python block of a page with the number of lines that stand before it."""
    found: list[tuple[int, str]] = []
    language, first, inside = None, 0, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if fence is None:
            inside.append(line)
        elif language is None:
            language, first, inside = fence[1], number, []
        else:
            if language == "python":
                found.append((first, "\n".join(inside) + "\n"))
            language = None
    return found


def save_blocks(page: Path, folder: Path) -> Path:
    """Write a page's Python blocks into a folder, and return the script's path."""
    lines: list[str] = []
    for before, text in blocks(page):
        named = _NAMED.match(text)
        if named:
            path = folder / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            continue
        lines += [""] * (before - len(lines))
        lines += text.splitlines()
    script = folder / f"{page.stem.replace('-', '_')}_page.py"
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return script


def run_blocks(
    host: Host, page: Path, seconds: float = 60, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a page's script as a process in the host's folder, and return what it printed."""
    script = save_blocks(page, host.folder)
    return host.run(sys.executable, script, seconds=seconds, **environment)
