"""Substitutions of ROS 2 launch files: `$(name argument ...)` inside a string, also nested.

    "$(find-pkg-share lam_bringup)/robots/$(var robot).yaml"

An argument is one word, or a text in single or double quotes; a backslash takes the next character
literally. Parsed once into a tuple of parts, then resolved against a scope.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lam_models.command import UserError, unknown

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Substitution:
    """`$(name arguments...)`; each argument is itself a template."""

    name: str
    arguments: tuple[Template, ...]


Template: TypeAlias = "tuple[str | Substitution, ...]"


@dataclass(frozen=True)
class Scope:
    """What substitutions are resolved against.

    variables: launch configurations, set by arg and let.
    directory: of the launch file, for $(dirname); None where versions of ROS 2 disagree on it.
    share_directory: finds a package's share directory; UserError for an unknown package.
    """

    variables: Mapping[str, str]
    environment: Mapping[str, str]
    directory: str | None
    share_directory: Callable[[str], str]


def parse(text: str) -> Template:
    """The parts of a text. UserError where its substitutions are malformed."""
    reader = _Reader(text)
    parts = reader.template(stop="")
    return parts or ("",)


def resolve(template: Template, scope: Scope) -> str:
    """The template with every substitution replaced. UserError says which one fails and why."""
    return "".join(p if isinstance(p, str) else _value(p, scope) for p in template)


def is_literal(template: Template) -> bool:
    """Whether there is nothing to substitute."""
    return all(isinstance(part, str) for part in template)


def split_words(template: Template) -> tuple[Template, ...]:
    """Command-line words: spaces in literal text separate, a substitution's result never splits.

    Quotes group words, but only within literal text.
    """
    words: list[Template] = []
    open_word: Template = ()
    for part in template:
        if isinstance(part, Substitution):
            open_word = (*open_word, part)
            continue
        try:
            tokens = shlex.split(part)
        except ValueError:
            raise UserError(f"a quote in '{part}' is not closed before a substitution") from None
        if open_word and (not tokens or part[0].isspace()):
            words, open_word = [*words, open_word], ()
        for index, token in enumerate(tokens):
            open_word = (*open_word, token)
            if index < len(tokens) - 1 or part[-1].isspace():
                words, open_word = [*words, open_word], ()
    return (*words, open_word) if open_word else tuple(words)


class _Reader:
    """A cursor over the text; templates and substitutions call each other."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def _ahead(self, wanted: str) -> bool:
        return self._text.startswith(wanted, self._at)

    def template(self, stop: str) -> Template:
        """Parts up to one of the characters of `stop`, or to the end where there are none."""
        parts: list[str | Substitution] = []
        literal = ""
        while self._at < len(self._text) and self._text[self._at] not in (stop or ()):
            if self._ahead("$("):
                parts += [_unescape(literal)] if literal else []
                literal = ""
                parts.append(self._substitution())
            else:
                length = 2 if self._ahead("\\") else 1
                literal += self._text[self._at : self._at + length]
                self._at += length
        parts += [_unescape(literal)] if literal else []
        return tuple(parts)

    def _substitution(self) -> Substitution:
        start = self._at
        self._at += 2
        name = _NAME.match(self._text, self._at)
        if not name:
            raise UserError(f"'$(' in '{self._text}' is not followed by a name")
        self._at = name.end()
        arguments = []
        while self._ahead(" "):
            while self._ahead(" "):
                self._at += 1
            if not self._ahead(")"):
                arguments.append(self._argument())
        if not self._ahead(")"):
            raise UserError(f"'{self._text[start:]}' is not closed by ')'")
        self._at += 1
        return Substitution(name.group(), tuple(arguments))

    def _argument(self) -> Template:
        quote = self._text[self._at] if self._at < len(self._text) else ""
        if quote not in ("'", '"') or not quote:
            return self.template(stop=" ()'\"")
        self._at += 1
        inside = self.template(stop=quote)
        if not self._ahead(quote):
            raise UserError(f"a quote in '{self._text}' is not closed")
        self._at += 1
        return inside


def _unescape(text: str) -> str:
    return _ESCAPE.sub(r"\1", text)


def _value(substitution: Substitution, scope: Scope) -> str:
    arguments = [resolve(argument, scope) for argument in substitution.arguments]
    if substitution.name not in _KINDS:
        raise unknown("substitution", f"$({substitution.name})", [f"$({n})" for n in _KINDS])
    kind, counts = _KINDS[substitution.name]
    if len(arguments) not in counts:
        wanted = " or ".join(map(str, counts))
        raise UserError(f"$({substitution.name}) takes {wanted} arguments, not {len(arguments)}")
    return kind(arguments, scope)


def _variable(arguments: Sequence[str], scope: Scope) -> str:
    name, *default = arguments
    if name in scope.variables:
        return scope.variables[name]
    if default:
        return default[0]
    raise unknown("launch variable", name, scope.variables)


def _environment(arguments: Sequence[str], scope: Scope) -> str:
    name, *default = arguments
    if name in scope.environment:
        return scope.environment[name]
    if default:
        return default[0]
    raise UserError(
        f"the environment variable '{name}' is not set, and $(env {name}) has no default"
    )


def _share(arguments: Sequence[str], scope: Scope) -> str:
    return scope.share_directory(arguments[0])


def _directory(_arguments: Sequence[str], scope: Scope) -> str:
    if scope.directory is None:
        raise UserError(
            "$(dirname) after an <include> of a file in another directory differs between versions "
            "of ROS 2: use $(find-pkg-share ...)"
        )
    return scope.directory


_KINDS: Mapping[str, tuple[Callable[[Sequence[str], Scope], str], tuple[int, ...]]] = {
    "var": (_variable, (1, 2)),
    "env": (_environment, (1, 2)),
    "find-pkg-share": (_share, (1,)),
    "dirname": (_directory, (0,)),
}
