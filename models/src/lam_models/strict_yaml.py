"""YAML files whose mistakes are a UserError that names file and line.

A key that is there twice is refused, where YAML takes the last one silently, and so is one that
YAML takes for something else than a word (`on`, `1`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lam_models.command import UserError


def read_yaml(path: Path) -> Any:
    """What the file holds, in plain Python."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is no UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UserError(f"{path}: line {line}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: {error}") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (RecursionError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as YAML: {error}") from None


class _Loader(yaml.SafeLoader):
    """YAML without its silent last-one-wins; keys are words."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            name, line = key.value, key.start_mark.line + 1
            if not isinstance(name, str) or not key.tag.endswith((":str", ":merge")):
                raise UserError(f"line {line}: key '{name}' is no word: put it in quotes")
            if name in seen:
                raise UserError(f"line {line}: key '{name}' is there twice")
            seen.add(name)
        return super().construct_mapping(node, deep)
