"""Watches a reader: programs that it starts, code that it makes, files that it writes outside of its folder."""

import os
import sys
from pathlib import Path

_NEVER = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "subprocess.Popen", "pty.spawn",
          "socket.connect", "ctypes.dlopen", "webbrowser.open")  # fmt: skip
# Event -> which of its arguments are paths that change, each with the one that is the open folder it starts from.
_CHANGES = {
    "os.remove": ((0, 1),), "os.rename": ((0, 2), (1, 3)), "os.mkdir": ((0, 2),), "os.rmdir": ((0, 1),),
    "os.symlink": ((1, 2),), "os.link": ((1, 3),), "os.chmod": ((0, 2),), "os.truncate": ((0, None),),
    "os.utime": ((0, 3),), "shutil.rmtree": ((0, None),),
}  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Guard:
    """An audit hook, which cannot be taken away again: one for the process, armed for the time of a reader.

    Args:
        allowed: folders in which any reader may write, such as the user's cache.
    """

    def __init__(self, allowed: list[Path]) -> None:
        self._always = [self._real(folder) for folder in allowed]
        self._armed = False
        self._seen: list[str] = []
        self._folders: list[str] = []
        sys.addaudithook(self._hook)

    def arm(self, folder: Path) -> None:
        """Watch from now on; in ``folder`` anything may be written."""
        self._seen, self._folders, self._armed = [], [*self._always, self._real(folder)], True

    def disarm(self) -> list[str]:
        """Watch no more; what was seen since ``arm``."""
        self._armed = False
        return self._seen

    @staticmethod
    def _real(path) -> str:
        return os.path.realpath(os.fsdecode(path))

    def _hook(self, event: str, args: tuple) -> None:
        if not self._armed:
            return
        self._armed = False  # what follows raises events too
        try:
            if event in _NEVER:
                self._seen.append(f"{event} {str(args)[:200]}")
            elif event == "exec" and self._is_strange(args[0]) and not self._imports():
                self._seen.append(f"exec of {args[0]!r}"[:200])
            elif event == "open" and isinstance(args[2], int) and args[2] & _WRITES:
                self._check(event, args[0])
            elif event in _CHANGES:
                for place, start in _CHANGES[event]:
                    self._check(event, args[place], -1 if start is None else args[start])
        finally:
            self._armed = True

    @staticmethod
    def _is_strange(code) -> bool:
        """Whether code comes from text rather than from a module's file. Modules may be imported at any time."""
        name = getattr(code, "co_filename", "")
        return name.startswith("<") and not name.startswith("<frozen ")

    @staticmethod
    def _imports() -> bool:
        """Whether an import is under way: modules may make code from text of their own."""
        frame = sys._getframe(2)
        while frame is not None:
            if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
                return True
            frame = frame.f_back
        return False

    def _check(self, event: str, path, start: int | None = -1) -> None:
        if isinstance(path, int):  # an open file
            return
        if start not in (-1, None):
            path = os.path.join(os.readlink(f"/proc/self/fd/{start}"), os.fsdecode(path))
        real = self._real(path)
        inside = any(real == folder or real.startswith(folder + os.sep) for folder in self._folders)
        if not inside and real != os.devnull:
            self._seen.append(f"{event} {real}")
