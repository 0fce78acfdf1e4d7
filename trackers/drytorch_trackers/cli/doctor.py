"""`drytorch doctor`: what is the case on this host, and what is wrong with it."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from drytorch_trackers import exit_codes
from drytorch_trackers.cli import parameters

if TYPE_CHECKING:
    from drytorch_trackers.checkup import Finding

SETTINGS: Final[Mapping[str, Any]] = {
    "name": "doctor",
    "short_help": "Say what is wrong on this host, and what to do.",
}
EPILOG: Final = """\b
Examples:
  drytorch doctor
  drytorch doctor --json
"""
_WIDTH: Final = 80
_INDENT: Final = 13


def command(json: parameters.Json = False) -> int:
    """Look at this host: versions, folders, locks, broker, journal, spools and workers.

    Starts nothing and changes nothing. 69 when something is wrong; each problem is one sentence
    that says what to do.
    """
    from drytorch_trackers.checkup import look
    from drytorch_trackers.cli.display import as_json

    findings = look()
    print(as_json(_plain(findings)) if json else _text(findings))
    wrong = any(each.problems for each in findings)
    return exit_codes.UNAVAILABLE if wrong else exit_codes.OK


def _plain(findings: Sequence[Finding]) -> dict[str, Any]:
    problems = [{"topic": each.topic, "text": text} for each in findings for text in each.problems]
    facts = {each.topic.replace(" ", "_"): each.facts | {"text": each.text} for each in findings}
    return {"ok": not problems, "problems": problems, "findings": facts}


def _text(findings: Sequence[Finding]) -> str:
    problems = [text for each in findings for text in each.problems]
    lines = [_folded(each.topic.ljust(_INDENT), each.text) for each in findings]
    if not problems:
        return "\n".join([*lines, f"All is well on {os.uname().nodename}."])
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    sentences = [_folded(f"{number}. ", text) for number, text in enumerate(problems, 1)]
    return "\n".join([*lines, "", f"{count} on {os.uname().nodename}:", *sentences])


def _folded(mark: str, text: str) -> str:
    """Return a text in lines that fit; paths and commands that do not fit stay whole."""
    from drytorch_trackers.terminal import printable

    return textwrap.fill(
        printable(text),
        _WIDTH - 1,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )
