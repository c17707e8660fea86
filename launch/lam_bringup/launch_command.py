"""`lam launch`: the same files as `ros2 launch`, without it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lam_bringup.description import Argument, Launch
from lam_models.command import UserError, unknown

SUMMARY = "start the nodes of a launch file and keep them together"
PACKAGE = "lam_bringup"
SUFFIX = ".launch.xml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "lam launch [PACKAGE] FILE [name:=value ...] [options]"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "examples:\n"
        "  lam launch demo.launch.xml hand:=five_finger     a file of lam_bringup\n"
        "  lam launch ./mine.launch.xml --show-args\n"
        "  lam launch lam_bringup sim.launch.xml --print"
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="FILE",
        help="a launch file in XML, by path or by its name in a package, and its arguments",
    )
    parser.add_argument("--show-args", action="store_true", help="list the launch arguments")
    parser.add_argument("--print", action="store_true", help="print what would be run, and end")
    parser.add_argument(
        "--share-domain",
        action="store_true",
        help="run although another launch uses this ROS_DOMAIN_ID",
    )


def run(args: argparse.Namespace) -> int:
    from lam_bringup.launch_arguments import declared_arguments
    from lam_bringup.launch_xml import read_launch
    from lam_bringup.robot import check_parameter_file

    given = _given([word for word in args.words if ":=" in word])
    path = find_launch_file([word for word in args.words if ":=" not in word])
    if args.show_args:
        print(_arguments_text(path, declared_arguments(path, os.environ)))
        return 0
    launch = read_launch(path, given, os.environ)
    for parameter_file in launch.parameter_files():
        check_parameter_file(parameter_file)
    if args.print:
        print("\n".join(process.text() for process in launch.processes))
        return 0
    return run_launch(launch, share_domain=args.share_domain)


def run_launch(launch: Launch, *, share_domain: bool = False) -> int:
    """Run a launch to its end; the exit code."""
    from lam_bringup.domain_lock import DomainLock, runtime_folder
    from lam_bringup.executables import find_executable
    from lam_bringup.process_log import ProcessLog, new_log_folder
    from lam_bringup.supervise import Job, supervise

    if not launch.processes:
        raise UserError(f"{launch.path}: nothing to run under these arguments")
    jobs = [
        Job(process, tuple(process.command(find_executable(process.package, process.executable))))
        for process in launch.processes
    ]
    folder = runtime_folder(os.environ)
    purpose = f"'{launch.path.name}'"
    locks = [DomainLock(domain, purpose, share_domain, folder) for domain in _domains(launch)]
    name = launch.path.name.removesuffix(SUFFIX)
    labels = [process.label for process in launch.processes]
    log = ProcessLog(labels, sys.stdout, new_log_folder(name, os.environ))
    log.say(f"logs: {log.folder}")
    try:
        return supervise(jobs, log, os.environ)
    finally:
        log.close()
        for lock in locks:
            lock.release()


def find_launch_file(words: Sequence[str]) -> Path:
    """The file meant by FILE or PACKAGE FILE."""
    from lam_bringup.executables import share_directory

    if len(words) not in (1, 2):
        raise UserError(f"give FILE or PACKAGE FILE, not {len(words)} names: {' '.join(words)}")
    package, name = words if len(words) == 2 else (PACKAGE, words[0])
    path = Path(name)
    if len(words) == 1 and (path.is_file() or path.name != name):
        return path
    folder = Path(share_directory(package)) / "launch"
    for candidate in (folder / name, folder / f"{name}{SUFFIX}"):
        if candidate.is_file():
            return candidate
    raise unknown(f"launch file of {package}", name, [file.name for file in folder.glob("*.xml")])


def _given(words: Sequence[str]) -> Mapping[str, str]:
    given: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition(":=")
        if name in given:
            raise UserError(f"the launch argument '{name}' is given twice")
        given[name] = value
    return given


def _domains(launch: Launch) -> list[str]:
    default = os.environ.get("ROS_DOMAIN_ID") or "0"
    settings = [dict(process.environment) for process in launch.processes]
    return sorted({setting.get("ROS_DOMAIN_ID", default) for setting in settings})


def _arguments_text(path: Path, arguments: Sequence[Argument]) -> str:
    if not arguments:
        return f"{path.name} takes no arguments"
    lines = [f"Arguments of {path.name} (name:=value):"]
    for argument in arguments:
        default = "required" if argument.default is None else f"default '{argument.default}'"
        lines.append(f"  {argument.name}: {default}")
        lines += [f"      {argument.description}"] if argument.description else []
        lines += [f"      one of: {', '.join(argument.choices)}"] if argument.choices else []
    return "\n".join(lines)
