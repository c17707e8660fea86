"""XML as plain elements that know their line, so that every error can name it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from lam_models.command import UserError, unknown


@dataclass(frozen=True)
class Element:
    """A tag with its attributes and children. where: "file:line"."""

    tag: str
    attributes: dict[str, str]
    where: str
    children: list[Element] = field(default_factory=list)

    def get(self, name: str, default: str = "") -> str:
        return self.attributes.get(name, default)

    def require(self, name: str) -> str:
        """The attribute, or UserError where it is absent."""
        if name not in self.attributes:
            raise UserError(f"the attribute '{name}' is missing")
        return self.attributes[name]

    def of(self, tag: str) -> Iterator[Element]:
        """Children with this tag."""
        return (child for child in self.children if child.tag == tag)

    def check(self, attributes: str, children: str = "") -> None:
        """UserError for any attribute or child that is not among these (space-separated) names."""
        for name in self.attributes:
            if name not in attributes.split():
                raise unknown(f"attribute of <{self.tag}>", name, attributes.split())
        for child in self.children:
            if child.tag not in children.split():
                with located(child):
                    known = [f"<{name}>" for name in children.split()]
                    raise unknown(f"element inside <{self.tag}>", f"<{child.tag}>", known)


class LocatedError(UserError):
    """A UserError that already says where it happened."""


@contextmanager
def located(element: Element) -> Iterator[None]:
    """Prefix a UserError with the element's file, line and tag, unless a closer one has."""
    try:
        yield
    except LocatedError:
        raise
    except UserError as error:
        raise LocatedError(f"{element.where}: <{element.tag}>: {error}") from None


def read_xml(path: Path) -> Element:
    """The root element of a file. UserError where it cannot be read or is malformed."""
    parser = expat.ParserCreate()
    root = Element("", {}, str(path))
    open_elements = [root]

    def start(tag: str, attributes: dict[str, str]) -> None:
        where = f"{path}:{parser.CurrentLineNumber}"
        element = Element(tag, attributes, where)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _tag: open_elements.pop()
    try:
        parser.Parse(path.read_bytes(), True)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    except expat.ExpatError as error:
        problem = expat.ErrorString(error.code)
        raise UserError(f"{path}:{error.lineno}: malformed XML: {problem}") from None
    return root.children[0]
