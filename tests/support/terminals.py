"""A terminal's window: what is typed into it, what it shows, and its end."""

import fcntl
import os
import pty
import struct
import subprocess
import termios

from hosts import Host

ROWS, COLUMNS = 50, 100
CTRL_C, CTRL_Q, CTRL_S = b"\x03", b"\x11", b"\x13"


class Terminal:
    """A window with one program in it. Nobody reads what is shown but `read`."""

    def __init__(self, host: Host, *command: str, **environment: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._shown = b""
        self.program = subprocess.Popen(
            ["setsid", "--ctty", *command],  # as a shell's terminal is, signals of keys included
            cwd=host.folder,
            env=host.environment | environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._master, key)

    def read(self) -> str:
        """Return all that was shown so far."""
        os.set_blocking(self._master, False)
        try:
            while data := os.read(self._master, 1 << 16):
                self._shown += data
        except OSError:  # nothing more now, or ever
            pass
        return self._shown.decode(errors="replace").replace("\r\n", "\n")

    def close_window(self) -> None:
        """Close the window: whoever is in it gets SIGHUP, and writing to it fails."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def close(self) -> None:
        """Close the window, and kill what is left in it."""
        self.close_window()
        if self.program.poll() is None:
            self.program.kill()
        self.program.wait()
