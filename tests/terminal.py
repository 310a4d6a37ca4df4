"""A terminal of some width for tests, and what a user sees on it."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading


class Terminal:
    """A pseudo-terminal. ``stream`` writes to it; ``lines()`` closes it and returns its lines in the end."""

    def __init__(self, columns: int = 80) -> None:
        self.columns = columns
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 200, columns, 0, 0))
        self.stream = os.fdopen(slave, "w", encoding="utf-8", buffering=1)
        self._parts: list[bytes] = []
        self._reader = threading.Thread(target=self._read, args=(master,), daemon=True)
        self._reader.start()

    def _read(self, master: int) -> None:
        try:
            while part := os.read(master, 65536):
                self._parts.append(part)
        except OSError:  # closed at the other end
            pass
        os.close(master)

    def raw(self) -> str:
        """All that was written."""
        self.stream.close()
        self._reader.join(10)
        return b"".join(self._parts).decode()

    def lines(self) -> list[str]:
        return screen(self.raw(), self.columns)


def screen(text: str, columns: int) -> list[str]:
    """The lines of a terminal after a text with carriage returns and cursor movements; long lines are wrapped."""
    rows: list[list[str]] = [[]]
    row = column = 0
    for part in re.findall(r"\x1b\[A|.", text, re.S):
        if part == "\x1b[A":
            row = max(0, row - 1)
        elif part == "\r":
            column = 0
        elif part == "\n":
            row += 1
        else:
            if column == columns:
                row, column = row + 1, 0
            while row >= len(rows):
                rows.append([])
            rows[row] += [" "] * (column + 1 - len(rows[row]))
            rows[row][column] = part
            column += 1
        while row >= len(rows):
            rows.append([])
    return ["".join(row).rstrip() for row in rows]
