"""A latent policy, a world model and inverse dynamics made into one policy folder.

`lam imagine` trains nothing: it puts together what lam fit-policy, lam fit igor and lam fit-idm
made (policy/imagined.py).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lam_models.command import UserError

SUMMARY = "make a policy that imagines the next image and reads its actions from it"

_EXAMPLES = """examples:
  lam fit igor data/video --camera front --out models/igor
  lam label models/igor data/video --camera front
  lam fit-policy data/video --out policies/latent
  lam fit-idm data/teleop --set cameras=front --set image_size=64 --out models/idm
  lam imagine policies/latent models/igor models/idm --out policies/imagined
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    add = parser.add_argument
    add("latent", metavar="LATENT", type=Path, help="a latent policy of lam fit-policy")
    add("world", metavar="WORLD", type=Path, help="the igor whose latents it learnt")
    add("idm", metavar="IDM", type=Path, help="inverse dynamics of lam fit-idm")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add("--overwrite", action="store_true", help="replace a policy at DIR")


def run(args: argparse.Namespace) -> int:
    """Exit code 0."""
    print(imagine(args.latent, args.world, args.idm, args.out, args.overwrite))
    return 0


def imagine(latent: Path, world: Path, idm: Path, out: Path, overwrite: bool = False) -> Path:
    """Write the folder. UserError where the three do not belong together."""
    from dataclasses import replace

    from lam_models.checkpoint import Checkpoint, open_checkpoint, origin_now, write
    from lam_models.policy.imagined import Config
    from lam_models.policy.inputs import EE, EE_NAMES
    from lam_models.stages.fit_idm import KIND as INVERSE
    from lam_models.stages.fit_policy import KIND as POLICY
    from lam_models.strict_json import from_json, to_json

    parts = {"policy": latent, "world": world, "inverse": idm}
    systems = {"policy": POLICY, "world": "igor", "inverse": INVERSE}
    opened = {name: open_checkpoint(path) for name, path in parts.items()}
    for name, one in opened.items():
        if one.system != systems[name]:
            raise UserError(f"{parts[name]} holds '{one.system}', not '{systems[name]}'")
    played = opened["world"].spec.emits[0]
    said = [space.space_hash for space in opened["policy"].spec.emits if space.kind == "motion"]
    if played.space_hash not in said:
        raise UserError(f"{latent} learnt latents of another model than {world}")
    config = from_json(Config, {name: one.config for name, one in opened.items()}, str(out))
    of_actions = opened["inverse"].spec
    spec = replace(
        opened["policy"].spec,
        state={EE: EE_NAMES},
        emits=(played, *(space for space in of_actions.emits if space.kind == "hand")),
        chunk_steps=config.inverse.gap_steps,
        rate_hz=of_actions.rate_hz,
        delta_axes=of_actions.delta_axes,
    )
    recipes = "; ".join(one.origin.recipe for one in opened.values())
    tensors = {f"{part}.{k}": v for part, one in opened.items() for k, v in one.tensors.items()}
    content = Checkpoint(
        system="imagined",
        config=to_json(config),
        spec=spec,
        origin=origin_now(opened["policy"].origin.data_hash, f"imagined actions: {recipes}"),
        tensors=tensors,
    )
    return write(out, content, overwrite)
