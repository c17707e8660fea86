"""Where packages and their executables are, as `ros2 run` finds them: over AMENT_PREFIX_PATH."""

from __future__ import annotations

import os
from pathlib import Path

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_packages_with_prefixes,
)

from lam_models.command import UserError, unknown


def package_prefix(package: str) -> Path:
    """The prefix a package is installed under. UserError where it is in none."""
    try:
        return Path(get_package_prefix(package))
    except (PackageNotFoundError, ValueError):
        near = [name for name in get_packages_with_prefixes() if name.startswith(package[:3])]
        raise unknown("package", package, near) from None
    except LookupError:
        raise UserError("AMENT_PREFIX_PATH is not set: source the workspace first") from None


def share_directory(package: str) -> str:
    """<prefix>/share/<package>."""
    return str(package_prefix(package) / "share" / package)


def find_executable(package: str, executable: str) -> Path:
    """<prefix>/lib/<package>/<executable>. UserError names those that exist."""
    folder = package_prefix(package) / "lib" / package
    path = folder / executable
    if path.is_file() and os.access(path, os.X_OK):
        return path
    files = folder.iterdir() if folder.is_dir() else ()
    raise unknown(f"executable of package {package}", executable, [file.name for file in files])
