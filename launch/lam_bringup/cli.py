"""The `lam` command. Every installed package may add subcommands (see lam_models.command).

Each subcommand is imported only when it is run: a broken one does not harm the others, and the
list of all is quick.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib.util
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from lam_models.command import Command, UserError

GROUP = "lam.commands"
DISTRIBUTION = "lam_bringup"
USAGE_ERROR, INTERRUPTED, BROKEN = 2, 130, 1
Commands = Mapping[tuple[str, ...], metadata.EntryPoint]


def main(argv: Sequence[str] | None = None) -> int:
    """Run `lam` with these words; the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    with_traceback = "--traceback" in words
    words = [word for word in words if word != "--traceback"]
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except UserError as error:
        if with_traceback:
            traceback.print_exc()
        print(f"lam: error: {' '.join(str(error).split())}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads on, as in `lam --help | head -1`; the interpreter flushes once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN
    except Exception as error:
        if with_traceback:
            raise
        what = " ".join(f"{type(error).__name__}: {error}".split())
        hint = f"lam --traceback {' '.join(words)}"
        print(f"lam: internal error: {what} (where: {hint})", file=sys.stderr)
        return BROKEN


def find_commands() -> Commands:
    """Every installed subcommand by its words."""
    found = sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.name)
    return {tuple(entry.name.split(".")): entry for entry in found}


def _dispatch(words: Sequence[str]) -> int:
    if words == ["--version"]:
        print(f"lam {metadata.version(DISTRIBUTION)}")
        return 0
    commands = find_commands()
    named = []
    for word in words:
        if word.startswith("-") or tuple(named) in commands:
            break
        named.append(word)
    if tuple(named) in commands:
        return _run(commands[tuple(named)], words[len(named) :])
    asks = not words or words[len(named) :] in (["-h"], ["--help"]) or words == ["help"]
    if words == ["help"]:
        named = []
    inside = {name: entry for name, entry in commands.items() if name[: len(named)] == tuple(named)}
    if inside and (asks or len(words) == len(named)):
        print(_overview(inside, " ".join(["lam", *named])))
        return 0
    raise _unknown_command(words, named, commands)


def _unknown_command(words: Sequence[str], named: Sequence[str], commands: Commands) -> UserError:
    if not named:
        return UserError(f"unknown option '{words[0]}'. See lam --help.")
    names = [" ".join(name) for name in commands]
    groups = {name[0] for name in commands if len(name) > 1}
    wanted = " ".join(named)
    near = difflib.get_close_matches(wanted, names, n=1) or difflib.get_close_matches(
        named[0], [*names, *groups], n=1
    )
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return UserError(f"unknown command '{wanted}'.{hint} See lam --help.")


def _run(entry: metadata.EntryPoint, words: Sequence[str]) -> int:
    command: Command = entry.load()
    name = " ".join(["lam", *entry.name.split(".")])
    parser = _Parser(prog=name, description=_sentence(command.SUMMARY))
    command.add_arguments(parser)
    return command.run(parser.parse_intermixed_args(words)) or 0


class _Parser(argparse.ArgumentParser):
    """Mistakes on one line, like all others."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}. See {self.prog} --help.")


def _overview(commands: Commands, prefix: str) -> str:
    """The help text: single commands first, then each family under its first word."""
    lines = [f"usage: {prefix} COMMAND ...", ""]
    if prefix == "lam":
        lines += ["Latent-action robot policies for ROS 2.", ""]
    width = max(len(" ".join(name)) for name in commands)
    families = sorted({name[0] for name in commands}, key=lambda w: ((w,) not in commands, w))
    family = None
    for first in families:
        names = [name for name in commands if name[0] == first]
        is_family = len(names) > 1 or len(names[0]) > 1
        if family is not None and (is_family or family):
            lines.append("")
        family = is_family
        for name in names:
            lines.append(f"  {' '.join(name).ljust(width)}   {_summary(commands[name])}")
    if prefix == "lam":
        lines += ["", "  --version     the version of this software"]
        lines += ["  --traceback   show where an error happened"]
    lines += ["", f"'{prefix} COMMAND --help' explains one of them."]
    return "\n".join(lines)


def _summary(entry: metadata.EntryPoint) -> str:
    """SUMMARY as it stands in the module's text: importing every module would be slow."""
    try:
        package, _, rest = entry.module.partition(".")
        spec = importlib.util.find_spec(package)
        folder = Path((spec.submodule_search_locations or [""])[0]) if spec else Path()
        tree = ast.parse((folder / f"{rest.replace('.', '/')}.py").read_text())
    except (ImportError, OSError, SyntaxError, ValueError):
        return "(cannot be read)"
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="SUMMARY")], value=value):
                return str(ast.literal_eval(value))
            case ast.AnnAssign(target=ast.Name(id="SUMMARY"), value=ast.expr() as value):
                return str(ast.literal_eval(value))
    return "(no summary)"


def _sentence(summary: str) -> str:
    return f"{summary[:1].upper()}{summary[1:].rstrip('.')}."


if __name__ == "__main__":
    sys.exit(main())
