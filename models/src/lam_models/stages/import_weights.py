"""`lam import`: other people's released weights as a model folder, every tensor accounted for.

Layouts: LAPA's laq_*.pt, UniVLA's lam-stage-1 and lam-stage-2 (with the DINOv2 and T5 inside),
villa-X's folder of model.safetensors and model_config.json. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lam_models.command import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lam_models.stages.releases.files import Tensors
    from lam_models.stages.releases.layouts import Asked, Layout

SUMMARY = "turn released weights of LAPA, UniVLA or villa-X into a model folder"

_SHOWN = 5
# Counters of code replacement, of which no release says anything: they begin anew.
_COUNTERS = re.compile(r"^vq\w*\.(steps|forwards|chosen|usage\.\w+)$")


@dataclass(frozen=True)
class Imported:
    """What became of a file's tensors.

    used: names in the file of those that the system's come from.
    inert: names of those that no output depends on.
    made: how many tensors of the system come from the file.
    anew: names of the system's tensors that do not.
    """

    folder: Path
    layout: str
    system: str
    config: Any
    used: tuple[str, ...]
    inert: tuple[str, ...]
    made: int
    anew: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="the weight file, or villa-X's folder")
    parser.add_argument(
        "--layout",
        default="auto",
        help="auto, lapa, univla_stage1, univla_stage2 or villa_x (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="model folder")
    parser.add_argument("--overwrite", action="store_true", help="replace the folder if it exists")
    released = "if not that of the release, which the file does not tell"
    parser.add_argument("--image-size", type=int, metavar="PIXELS", help=released)
    parser.add_argument("--gap-s", type=float, metavar="S", help=f"between frames, {released}")
    parser.add_argument("--heads", type=int, help=f"of UniVLA's transformers, {released}")


def run(args: argparse.Namespace) -> int:
    from lam_models.stages.releases.layouts import Asked

    asked = Asked(args.image_size, args.gap_s, args.heads)
    done = import_weights(args.source, args.layout, args.out, asked, overwrite=args.overwrite)
    print(report(args.source, done))
    return 0


def import_weights(
    source: Path,
    layout: str,
    out: Path,
    asked: Asked | None = None,
    *,
    overwrite: bool = False,
) -> Imported:
    """Write the model folder `out`. UserError, naming the first differences, for a misfit."""
    from lam_models.checkpoint import file_hash, origin_now
    from lam_models.stages.opening import save_system
    from lam_models.stages.releases.files import read_tensors
    from lam_models.stages.releases.layouts import Asked, configure, find_layout
    from lam_models.systems import find

    file = source / "model.safetensors" if source.is_dir() else source
    tensors = read_tensors(file)
    name, chosen = find_layout(layout, tensors)
    config = configure(chosen, tensors, file, asked or Asked())
    try:
        model = find(chosen.system)(config)
    except ValueError as error:
        raise UserError(f"{file}: {error}") from error
    made, origins = translate(chosen, tensors, file)
    anew = check(model, made, origins, f"{file} is not of the layout {name}")
    model.load_state_dict(made, strict=False)

    recipe = f"imported from {file.name}, layout {name}, SHA-256 {file_hash(file)}"
    save_system(out, model.eval(), chosen.system, origin_now("", recipe), overwrite=overwrite)
    used = set(origins.values())
    inert = tuple(sorted(set(tensors) - used))
    return Imported(
        out, name, chosen.system, config, tuple(sorted(used)), inert, len(made), tuple(anew)
    )


def translate(
    layout: Layout, tensors: Tensors, file: Path
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The file's tensors under the system's names, and the name in the file of each."""
    made: dict[str, Tensor] = {}
    origins: dict[str, str] = {}
    for name, value in tensors.items():
        try:
            parts = layout.renamed(name, value)
        except (RuntimeError, ValueError, IndexError) as error:
            raise UserError(f"{file}: '{name}' has the wrong shape {tuple(value.shape)}") from error
        if not parts and (lost := layout.loses(name, tensors)):
            raise UserError(f"{file}: '{name}' holds {lost}, which '{layout.system}' has not")
        for ours, part in parts.items():
            if ours in origins:
                raise UserError(f"{file}: '{name}' and '{origins[ours]}' are both its {ours}")
            made[ours], origins[ours] = part, name
    return made, origins


def check(model: nn.Module, made: Tensors, origins: Mapping[str, str], sentence: str) -> list[str]:
    """UserError unless the tensors are the model's own; else those that begin anew, by name."""
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    absent = [name for name in own if name not in made]
    anew = [name for name in absent if _COUNTERS.match(name)]
    differences = {
        "missing": [name for name in absent if name not in anew],
        "unexpected": list(dict.fromkeys(origins[name] for name in made if name not in own)),
        "of another shape": [
            f"{origins[name]} {tuple(value.shape)} instead of {own[name]}"
            for name, value in made.items()
            if name in own and tuple(value.shape) != own[name]
        ],
    }
    found = [_first(kind, names) for kind, names in differences.items() if names]
    if found:
        raise UserError(f"{sentence}: {'; '.join(found)}")
    return anew


def _first(kind: str, names: list[str]) -> str:
    more = ", ..." if len(names) > _SHOWN else ""
    return f"{len(names)} {kind} ({', '.join(names[:_SHOWN])}{more})"


def report(source: Path, done: Imported) -> str:
    """What became of the tensors, for people."""
    total = len(done.used) + len(done.inert)
    endings = sorted({".".join(name.split(".")[-2:]) for name in done.inert})
    inert = f", {len(done.inert)} without effect ({', '.join(endings)})" if done.inert else ""
    sizes = ", ".join(f"{name} {value}" for name, value in vars(done.config).items())
    anew = f"begin anew: {', '.join(done.anew)}\n" if done.anew else ""
    return (
        f"{source}: layout {done.layout}, {total} tensors\n"
        f"{len(done.used)} used as {done.made} of {done.system}{inert}\n{anew}"
        f"config: {sizes}\n"
        f"written to {done.folder}"
    )


def main() -> int:
    """`python -m lam_models.stages.import_weights`, where `lam` is not installed."""
    parser = argparse.ArgumentParser(prog="import_weights", description=SUMMARY)
    add_arguments(parser)
    try:
        return run(parser.parse_args())
    except UserError as error:
        print(f"import_weights: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
