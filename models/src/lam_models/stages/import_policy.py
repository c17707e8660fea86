"""`lam policy import`: UniVLA's released policy as a policy folder that the node opens.

SOURCE is a folder in OpenVLA's Hugging Face layout (config.json, safetensors, tokenizer), e.g.
UniVLA's fine-tuned for LIBERO; its action decoder is a PyTorch file of its own. The folder that is
written holds the decoder and refers to SOURCE, which has to stay where it is. Nothing is
downloaded. LAPA's policy has no action decoder to import: its release is JAX, on another backbone.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lam_models.command import UserError, unknown

if TYPE_CHECKING:
    from torch import Tensor

    from lam_models.checkpoint import Checkpoint
    from lam_models.policy.univla_policy import Config

SUMMARY = "turn UniVLA's released policy into a policy folder"
STATISTICS = "dataset_statistics.json"
ACTION = 7
_SHOWN = 5
_RENAMED = (
    (r"^net\.", ""),
    (r"\.latents$", ".queries"),
    (r"\.attn\.q\.", ".attn.to_q."),
    (r"\.attn\.kv\.", ".attn.to_kv."),
    (r"\.attn\.proj\.", ".attn.to_out."),
    (r"_norm\.g$", "_norm.weight"),
    (r"\.mlp\.0\.project\.", ".mlp.to_inner."),
    (r"\.mlp\.1\.", ".mlp.to_width."),
    (r"^proj\.0\.", "proj."),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="the release's folder; it stays in use")
    parser.add_argument(
        "--decoder", type=Path, required=True, metavar="FILE", help="action decoder"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--overwrite", action="store_true", help="replace a policy at DIR")
    parser.add_argument(
        "--statistics", metavar="NAME", help=f"of the actions, in {STATISTICS} (the only ones)"
    )
    parser.add_argument("--camera", default="front", help="its one camera (default: %(default)s)")
    parser.add_argument("--hand", default="panda_gripper", help="gripper (default: %(default)s)")
    parser.add_argument("--space", default="", help="space of hand latents (the shipped one)")
    parser.add_argument(
        "--translation", type=float, default=0.05, metavar="M", help="of an action of 1 (LIBERO's)"
    )
    parser.add_argument(
        "--rotation", type=float, default=0.5, metavar="RAD", help="of an action of 1 (LIBERO's)"
    )
    parser.add_argument("--dt", type=float, default=0.05, metavar="S", help="of a step (LIBERO's)")
    parser.add_argument(
        "--precision", choices=("bfloat16", "float32"), default="bfloat16", help="of the 7 B"
    )


def run(args: argparse.Namespace) -> int:
    from lam_models.checkpoint import write
    from lam_models.policy.univla_policy import Config

    hands, space = gripper_latents(args.hand, args.space)
    config = Config(
        source=str(args.source.resolve()),
        latent_dim=hands.shape[1],
        dt_s=args.dt,
        translation_m=args.translation,
        rotation_rad=args.rotation,
        precision=args.precision,
    )
    ranges = action_ranges(args.source, args.statistics)
    content = imported(config, args.decoder, ranges, hands, space, args.camera)
    write(args.out, content, args.overwrite)
    count = len(content.tensors)
    print(f"{args.out}: {count} tensors of the action decoder; all else stays in {config.source}")
    return 0


def imported(
    config: Config,
    decoder: Path,
    ranges: tuple[np.ndarray, np.ndarray],
    hands: np.ndarray,
    space: Any,
    camera: str,
) -> Checkpoint:
    """The policy folder's content. UserError where the source or the decoder does not fit.

    ranges: low and high of the 7 actions, and which of them have a range.
    hands: latents of the closed and the open gripper.
    """
    from dataclasses import replace

    from lam_models.checkpoint import CameraSpec, Checkpoint, Spec, file_hash, origin_now
    from lam_models.policy.prismatic_file import match
    from lam_models.policy.univla_policy import code_rows
    from lam_models.stages.opening import as_array
    from lam_models.stages.releases.files import read_tensors
    from lam_models.strict_json import to_json

    source = Path(config.source)
    model, _ = match(source)
    code_rows(config)
    inner = model.language_model.config.hidden_size
    weights = renamed(read_tensors(decoder), decoder)
    width, numbers = len(weights["visual_pool.projection.bias"]), len(weights["proj.bias"])
    config = replace(config, width=width, steps=numbers // ACTION)
    check_decoder(weights, inner, config, decoder)
    side = model.vision_backbone.featurizer.image_size
    tensors = {f"decoder.{name}": as_array(value) for name, value in weights.items()}
    tensors |= {"ranges": ranges[0], "ranged": ranges[1], "hands": hands}
    recipe = f"imported from {source.name} and {decoder.name}, SHA-256 {file_hash(decoder)}"
    return Checkpoint(
        system="univla_policy",
        config=to_json(config),
        spec=Spec(
            cameras=(CameraSpec(camera, side, side, "stretch"),),
            rate_hz=1.0 / config.dt_s,
            emits=(space,),
            chunk_steps=config.steps,
            delta_axes="base",
        ),
        origin=origin_now("", recipe),
        tensors={name: np.asarray(value, np.float32) for name, value in tensors.items()},
    )


def renamed(tensors: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """A release's action decoder under the names of univla_decoder.ActionDecoder."""
    made: dict[str, Tensor] = {}
    for released, value in tensors.items():
        name = released
        for pattern, replacement in _RENAMED:
            name = re.sub(pattern, replacement, name)
        if ".to_kv." in name:
            keys, values = value.chunk(2)
            made |= {name.replace("to_kv", "to_k"): keys, name.replace("to_kv", "to_v"): values}
        else:
            made[name] = value
    for name in ("visual_pool.projection.bias", "proj.bias"):
        if name not in made:
            raise UserError(f"{file} is no action decoder of UniVLA: it has nothing for {name}")
    return made


def check_decoder(weights: Mapping[str, Tensor], inner: int, config: Config, file: Path) -> None:
    """UserError that names the first tensors that are missing, unknown or of another shape."""
    from lam_models.policy.univla_decoder import ActionDecoder

    own = ActionDecoder(inner, config.width, config.steps).state_dict()
    found = {name: tuple(value.shape) for name, value in weights.items()}
    wanted = {name: tuple(value.shape) for name, value in own.items()}
    wrong = sorted(name for name in own.keys() | found if found.get(name) != wanted.get(name))
    if wrong:
        first = [
            f"{name} {found.get(name, 'missing')} for {wanted.get(name, 'nothing')}"
            for name in wrong[:_SHOWN]
        ]
        raise UserError(f"{file} does not fit in {len(wrong)} tensors: {', '.join(first)}")


def action_ranges(source: Path, name: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Low and high [2, 7] of the actions that data were trained with, and which have a range."""
    from lam_models.policy.prismatic_file import read_json

    path = source / STATISTICS
    known = read_json(path if path.is_file() else source / "config.json")
    known = known if path.is_file() else known.get("norm_stats") or {}
    if name is None and len(known) != 1:
        raise UserError(f"--statistics: which of {', '.join(known) or 'none'}? ({path})")
    name = name or next(iter(known))
    if name not in known:
        raise unknown("statistics", name, known)
    try:
        action = known[name]["action"]
        ranges = np.array([action["q01"], action["q99"]], np.float32)
        ranged = np.array(action.get("mask", [True] * ACTION), np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: '{name}' says nothing of actions ({error})") from error
    if ranges.shape != (2, ACTION) or ranged.shape != (ACTION,):
        raise UserError(f"{path}: '{name}' has actions of {ranges.shape[-1]} numbers, not {ACTION}")
    return ranges, ranged


def gripper_latents(hand: str, space_folder: str) -> tuple[np.ndarray, Any]:
    """Latents [2, dim] of the closed and the open gripper, and what their space is called."""
    from lam_models.hands.kinematics import open_kinematics
    from lam_models.hands.retarget import is_gripper
    from lam_models.hands.space import open_space
    from lam_models.hands.spec_file import read_hand

    spec, space = read_hand(hand), open_space(space_folder)
    if not is_gripper(spec):
        raise UserError(f"'{hand}' is no gripper: UniVLA's actions open and close one")
    if spec.hand not in space.coders:
        raise unknown("hand of the space", spec.hand, space.coders)
    ends = np.stack([spec.lower, spec.upper])
    tips = open_kinematics(spec).tips(ends)
    order = np.linalg.norm(tips[:, 0] - tips[:, 1], axis=-1).argsort()
    return space.coders[spec.hand].encode(ends[order]), space.latent
