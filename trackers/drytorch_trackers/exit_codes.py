"""The codes that the command `drytorch` and workers leave with, by name (sysexits.h)."""

from __future__ import annotations

import os
from typing import Final

OK: Final = os.EX_OK
#: A wrong command line: unknown option, bad URL, unknown tracker.
USAGE: Final = os.EX_USAGE
#: Damaged data, or not this project's format.
DATA: Final = os.EX_DATAERR
#: An input is not there.
NO_INPUT: Final = os.EX_NOINPUT
#: No broker, or an extra that is not installed.
UNAVAILABLE: Final = os.EX_UNAVAILABLE
#: A defect of this project.
SOFTWARE: Final = os.EX_SOFTWARE
#: Some events could not be handled: dead letters.
DEAD_LETTERS: Final = os.EX_CANTCREAT
#: Reading or writing failed.
IO: Final = os.EX_IOERR
#: A name or a folder is taken by somebody who is at work.
TAKEN: Final = os.EX_TEMPFAIL
#: Not allowed.
PERMISSION: Final = os.EX_NOPERM
#: Wrong configuration.
CONFIG: Final = os.EX_CONFIG
#: Ended by Ctrl-C, as shells report it.
INTERRUPTED: Final = 130
