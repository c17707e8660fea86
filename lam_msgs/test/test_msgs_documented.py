"""Every field of every interface is explained in its file, and the build knows every file."""

from __future__ import annotations

import pytest
from interface_files import FILES, PACKAGE, parts


def undocumented(text: str) -> list[str]:
    """Fields that no comment of their paragraph explains, on their line or above.

    Named constants explain themselves and the field whose name they begin with.
    """
    out, explained, constants = [], False, ""
    for line in map(str.strip, text.splitlines()):
        if not line:
            explained, constants = False, ""
        elif "#" in line:
            explained = True
        elif "=" in line:
            constants = line.split()[1].split("_")[0].lower()
        elif not explained and line.split()[1] != constants:
            out.append(line)
    return out


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_field_has_a_comment(path):
    for part, text in parts(path).items():
        assert not undocumented(text), f"{path.name} {part}: no comment above these"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_definition_says_what_it_is_for(path):
    assert path.read_text().startswith("# ")


def test_an_undocumented_field_is_found():
    assert undocumented("# Explained.\nbool a\nbool b\n\nbool c\nbool d  # d") == ["bool c"]
    assert undocumented("uint8 MODE_ON=1\nuint8 mode\nuint8 other") == ["uint8 other"]


def test_every_definition_is_built():
    listed = (PACKAGE / "CMakeLists.txt").read_text()
    assert [path.name for path in FILES if f'"{path.suffix[1:]}/{path.name}"' not in listed] == []


def test_shapes_and_units_are_said():
    """A vector without a unit is the classic mistake; the key messages name theirs."""
    for name, words in {
        "EndEffectorDelta": ("[m]", "[rad]", "frame_id"),
        "WorldTruth": ("[rad or m]", "frame_id"),
        "LatentAction": ("[horizon, dim]", "space_hash"),
    }.items():
        text = (PACKAGE / "msg" / f"{name}.msg").read_text()
        assert all(word in text for word in words), name
