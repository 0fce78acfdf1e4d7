"""What a terminal shows after some output: enough of one for lines, bars and colours."""

import re

TOKEN = re.compile(r"\x1b\[(\d*)([A-Za-z])|(.)", re.DOTALL)
TIMES = re.compile(r"\d\d:\d\d<(?:\d\d:\d\d|\?)")
STAMP = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]")


def show(output: str) -> list[str]:
    """Return the lines on the screen, with times replaced."""
    lines: list[list[str]] = [[]]
    row = column = 0
    for match in TOKEN.finditer(output):
        count, command, char = match.groups()
        if command == "A":
            row = max(0, row - int(count or 1))
        elif command is not None:
            continue  # a colour
        elif char == "\r":
            column = 0
        elif char == "\n":
            row, column = row + 1, 0
            if row == len(lines):
                lines.append([])
        else:
            line = lines[row]
            line.extend(" " * (column + 1 - len(line)))
            line[column] = char
            column += 1
    shown = ["".join(line).rstrip() for line in lines]
    return [STAMP.sub("[time]", TIMES.sub("times", line)) for line in shown]
