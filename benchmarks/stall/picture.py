"""Draws the outcomes as an SVG: one row per tool and fault, longest call on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Protocol

_ROW, _LEFT, _WIDTH, _TOP = 22, 210, 420, 46
_LOW, _HIGH = 1e-5, 1e2  # seconds at both ends of the axis
_TICKS = {1e-5: "10 µs", 1e-3: "1 ms", 1e-1: "100 ms", 1e1: "10 s"}


class Shown(Protocol):
    """What is drawn of an outcome."""

    tool: str
    fault: str
    longest: float | None
    raised: int
    missing: int


def draw(outcomes: Sequence[Shown]) -> str:
    """Return the picture.

    Args:
        outcomes: what was measured, in the order of the rows.
    """
    height = _TOP + _ROW * len(outcomes) + 30
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{height}" '
            f'viewBox="0 0 860 {height}" font-family="sans-serif" font-size="13">'
        ),
        f'<rect width="860" height="{height}" fill="white"/>',
        '<text x="10" y="20" font-size="15">Longest call in the training loop</text>',
        f'<text x="{_LEFT + _WIDTH + 20}" y="20">points missing, exceptions</text>',
    ]
    for value, text in _TICKS.items():
        x = _LEFT + _place(value)
        parts.append(f'<line x1="{x}" y1="{_TOP - 6}" x2="{x}" y2="{height - 28}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{x}" y="{_TOP - 10}" text-anchor="middle" fill="#666">{text}</text>'
        )
    for number, each in enumerate(outcomes):
        parts += _bar(each, _TOP + _ROW * number)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar(each: Shown, y: int) -> list[str]:
    length = _WIDTH if each.longest is None else _place(each.longest)
    bad = each.longest is None or each.raised or each.missing
    colour = "#c0392b" if bad else "#2e86c1"
    lost = f"{each.missing} missing, {each.raised} raised" + (
        ", hangs" if each.longest is None else ""
    )
    name = escape(f"{each.tool}, {each.fault}")
    return [
        f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{name}</text>',
        f'<rect x="{_LEFT}" y="{y + 4}" width="{length}" height="{_ROW - 8}" fill="{colour}"/>',
        f'<text x="{_LEFT + _WIDTH + 20}" y="{y + 15}">{lost}</text>',
    ]


def _place(seconds: float) -> int:
    share = math.log(max(seconds, _LOW) / _LOW) / math.log(_HIGH / _LOW)
    return round(_WIDTH * min(max(share, 0.0), 1.0))
