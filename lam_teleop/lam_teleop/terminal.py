"""A terminal whose keys come one by one and unseen, and which is itself again afterwards.

Ctrl-C stays what it is. Ctrl-Z and Ctrl-\\ do nothing meanwhile: a suspended or crashed program
would leave the terminal as it is now, and a moving robot without its operator.
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import os
import select
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from lam_models.command import UserError

_LFLAG, _CC = 3, 6
_DISABLED = b"\0"


class Closed(Exception):
    """The terminal is gone."""


def find_terminal(path: str = "") -> int:
    """An open terminal: that of the path, or our own, or that of the program that started us.

    A launcher gives its nodes no input, and may have taken them out of the terminal's session, but
    what reads the person's keys must still find them. UserError where there is none.
    """
    if not path and sys.stdin is not None and os.isatty(sys.stdin.fileno()):
        return os.dup(sys.stdin.fileno())
    tried = [path] if path else ["/dev/tty", f"/proc/{os.getppid()}/fd/0"]
    for each in tried:
        with contextlib.suppress(OSError):
            opened = os.open(each, os.O_RDWR | os.O_NOCTTY)
            if os.isatty(opened):
                return opened
            os.close(opened)
    raise UserError(
        f"no terminal to read keys from (tried {', '.join(tried)}): start the node in a terminal, "
        "or give the path of one as the parameter 'terminal', as `tty` prints it"
    )


class Terminal:
    """Keys in, text out. Use `opened`."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")

    def read(self, wait_s: float = 0.0) -> str:
        """What was typed since; "" for nothing. Closed where the terminal is gone."""
        try:
            readable, _, _ = select.select([self._file], [], [], wait_s)
            if not readable:
                return ""
            data = os.read(self._file, 1024)
        except (OSError, ValueError):
            data = b""
        if not data:
            raise Closed
        return self._decoder.decode(data)

    def write(self, text: str) -> None:
        """Show text; a terminal that is gone shows nothing."""
        with contextlib.suppress(OSError):
            os.write(self._file, text.encode())


@contextmanager
def opened(path: str = "") -> Iterator[Terminal]:
    """A terminal without echo and lines; as it was before on every way out but SIGKILL."""
    file = find_terminal(path)
    before = termios.tcgetattr(file)

    def restore() -> None:
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(file, termios.TCSANOW, before)

    # For a program that ends without unwinding to here.
    atexit.register(restore)
    try:
        during = termios.tcgetattr(file)
        during[_LFLAG] &= ~(termios.ICANON | termios.ECHO)
        during[_CC] = list(during[_CC])
        for key in (termios.VSUSP, termios.VQUIT):
            during[_CC][key] = _DISABLED
        during[_CC][termios.VMIN], during[_CC][termios.VTIME] = 1, 0
        termios.tcsetattr(file, termios.TCSANOW, during)
        yield Terminal(file)
    finally:
        restore()
        atexit.unregister(restore)
        os.close(file)
