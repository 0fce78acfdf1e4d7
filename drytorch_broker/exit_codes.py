"""What the commands of this project say when they leave; sysexits.h where it has a word."""

from __future__ import annotations

from typing import Final

OK: Final = 0
#: Wrong command line.
USAGE: Final = 64
#: Damaged data, or not in this project's format.
DATA: Final = 65
#: An input is not there.
NO_INPUT: Final = 66
#: No broker, or it cannot do what was asked now.
UNAVAILABLE: Final = 69
#: A bug of this program.
SOFTWARE: Final = 70
#: Reading or writing failed.
IO_ERROR: Final = 74
#: Already running, or the port is taken.
TAKEN: Final = 75
#: Not allowed.
NO_PERMISSION: Final = 77
#: A setting that cannot work here.
CONFIGURATION: Final = 78
#: Ended by Ctrl-C, as shells say it.
INTERRUPTED: Final = 130
