"""What a subcommand of `lam` is, and how it reports a user's mistake.

A package offers a subcommand by an entry point of the group "lam.commands": its name is the words
of the command joined by dots ("data.generate" for `lam data generate`), its value a module with
the three members of `Command`.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable
from typing import Protocol


class UserError(Exception):
    """A mistake the user can mend. Shown as one line, without a traceback; exit code 2."""


class Command(Protocol):
    """The members of a subcommand's module. Heavy imports belong inside `run`."""

    SUMMARY: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


def unknown(thing: str, value: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not among the known ones, with the nearest of them."""
    names = sorted(known)
    near = difflib.get_close_matches(value, names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return UserError(f"unknown {thing} '{value}'.{hint} Known: {', '.join(names) or 'none'}.")
