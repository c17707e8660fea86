"""One launch for each ROS domain and user: two robots on one domain would hear each other."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from lam_models.command import UserError


class DomainLock:
    """Held until the process ends, even when it is killed; the file itself stays and means nothing.

    shared: run beside another launch, but keep later ones out that do not say so too.
    """

    def __init__(self, domain: str, purpose: str, shared: bool, folder: Path) -> None:
        self._file: IO[str] = (folder / f"domain-{domain}.lock").open("a+")
        try:
            fcntl.flock(self._file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            if shared:
                return
            self._file.seek(0)
            holder = self._file.read().strip() or "another launch"
            raise UserError(
                f"ROS domain {domain} is in use by {holder}: stop that, set another ROS_DOMAIN_ID "
                "or give --share-domain"
            ) from None
        self._file.truncate(0)
        self._file.write(f"{purpose} (pid {os.getpid()})\n")
        self._file.flush()

    def release(self) -> None:
        self._file.close()


def runtime_folder(environment: Mapping[str, str]) -> Path:
    """A folder only this user can write to."""
    base = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    if os.access(base, os.W_OK):
        folder = Path(base) / "lam"
    else:
        folder = Path(tempfile.gettempdir()) / f"lam-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise UserError(f"{folder} belongs to somebody else; set XDG_RUNTIME_DIR")
    return folder
