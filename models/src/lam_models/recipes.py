"""Named runs: how each way of using few labels and much video goes, stage by stage.

A recipe takes a `Work` and gives the folder of a policy that acts. Of the `Work`'s dataset,
`episodes` are labelled, evenly spread over it; all of it is video. Every stage is a command too
(lam fit, lam label, lam fit-policy, lam fit-idm, lam label-actions, lam fit-actions, lam imagine).
Stages that are done already are not done again, interrupted ones go on: so recipes share what does
not depend on the labels, and a folder may be used by one process at a time.

Papers: VPT (Baker et al. 2022, arXiv 2206.11795), LAPA (Ye et al. 2024, 2410.11758), whose tables
have scratch, VPT, UniPi and ActionVLA; UniPi (Du et al. 2023, 2302.00111); OpenVLA (Kim et al.
2024, 2406.09246).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lam_models.command import unknown
from lam_models.stages.fit_idm import fit_idm
from lam_models.stages.fit_idm_settings import IdmSettings
from lam_models.stages.fit_lam import fit
from lam_models.stages.fit_policy import SHAPES, fit_policy
from lam_models.stages.fit_settings import FitSettings
from lam_models.stages.imagine import imagine
from lam_models.stages.label import label
from lam_models.stages.label_actions import label_actions
from lam_models.stages.policy_settings import PolicySettings

_BEFORE = {"univla": "univla_stage1"}
# Fields of a policy's Config that say what robot it is for, not what it is made of.
_OF_ROBOT = ("cameras", "dt_s")


@dataclass(frozen=True)
class Steps:
    """Of training, for each stage; None is what the preset says."""

    model: int | None = None
    latent: int | None = None
    inverse: int | None = None
    actions: int | None = None


@dataclass(frozen=True)
class Work:
    """folder: of all that is made. episodes: labelled ones, 0 for all.

    camera: that latent-action models look through.
    preset: of every stage. policy: fields of the policy's Config, the same in all recipes.
    model: fields of the latent-action models' Configs. inverse: of the inverse dynamics'.
    space: folder of the space of hands, "" for the shipped one.
    """

    data: Path
    folder: Path
    episodes: int = 0
    seed: int = 0
    camera: str = "front"
    preset: Literal["small", "tiny"] = "small"
    steps: Steps = Steps()
    space: str = ""
    policy: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    inverse: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shared(self) -> Path:
        """For what does not depend on the number of labelled episodes."""
        return self.folder / f"seed-{self.seed}"

    @property
    def own(self) -> Path:
        return self.shared / f"labelled-{self.episodes}"


def scratch(work: Work) -> Path:
    """The labelled episodes and nothing else."""
    return _actions(work, work.own / "scratch")


def cloner(work: Work) -> Path:
    """As scratch, small, and with one slot: what every other must beat."""
    return _actions(work, work.own / "cloner", plain=True)


def openvla_bins(work: Work) -> Path:
    """As scratch, with quantile bins in place of numbers."""
    return _actions(work, work.own / "bins", changes={"read_out": "bins"})


def action_vla(work: Work) -> Path:
    """The upper bound: the actions of all episodes are known, whatever the `Work` says."""
    return _actions(work, work.shared / "action_vla", episodes=0)


def vpt(work: Work) -> Path:
    """Inverse dynamics of the labelled episodes label the rest; a policy learns both alike."""
    idm = inverse_dynamics(work)
    found = label_actions(idm, work.data, space=work.space)
    return _actions(work, work.own / "vpt", episodes=0, pseudo=found.path.name)


def lapa(work: Work) -> Path:
    return _latent_first(work, "lapa")


def univla(work: Work) -> Path:
    return _latent_first(work, "univla")


def laom(work: Work) -> Path:
    return _latent_first(work, "laom")


def unipi(work: Work) -> Path:
    """IGOR's world model imagines, inverse dynamics of the labelled episodes read the actions."""
    out = work.own / "unipi"
    latent, world = pretrained(work, "igor"), work.shared / "igor" / "model"
    return out if out.exists() else imagine(latent, world, _of_world(work, world), out)


RECIPES: dict[str, Callable[[Work], Path]] = {
    "lapa": lapa,
    "univla": univla,
    "laom": laom,
    "scratch": scratch,
    "cloner": cloner,
    "vpt": vpt,
    "action_vla": action_vla,
    "unipi": unipi,
    "openvla_bins": openvla_bins,
}
# Those that make use of a latent-action system, by its name.
PRETRAINED = {"lapa": "lapa", "univla": "univla", "laom": "laom", "unipi": "igor"}


def find(name: str) -> Callable[[Work], Path]:
    """The recipe of this name; UserError for an unknown one."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]


def pretrained(work: Work, system: str) -> Path:
    """A policy that learnt the latents that a system found in the whole of the video."""
    folder = work.shared / system
    out, model = folder / "latent", folder / "model"
    if out.exists():
        return out
    after = None
    if system in _BEFORE:
        after = _model(work, _BEFORE[system], folder / "before", None)
    _model(work, system, model, after)
    latents = label(model, work.data, camera=work.camera)
    settings = PolicySettings(
        out=out,
        videos=(work.data,),
        motion=latents.path.name,
        preset=work.preset,
        steps=work.steps.latent,
        validation=0.0,
        seed=work.seed,
        resume=_begun(out),
        changes=work.policy,
    )
    return fit_policy(settings)


def inverse_dynamics(work: Work, name: str = "idm", **changes: Any) -> Path:
    """Of the labelled episodes."""
    out = work.own / name
    if out.exists():
        return out
    settings = IdmSettings(
        dataset=work.data,
        out=out,
        episodes=work.episodes,
        space=work.space,
        preset=work.preset,
        steps=work.steps.inverse,
        validation=0.0,
        seed=work.seed,
        resume=_begun(out),
        changes={**work.inverse, **changes},
    )
    return fit_idm(settings)


def _of_world(work: Work, world: Path) -> Path:
    """Inverse dynamics that see what a world model imagines."""
    from lam_models.policy.inverse import Config
    from lam_models.stages.opening import open_system

    seen = open_system(world).model.config
    dt_s = work.inverse.get("dt_s", Config().dt_s)
    changes = {"image_size": seen.image_size, "gap_steps": round(seen.gap_s / dt_s)}
    return inverse_dynamics(work, "idm_of_world", cameras=(work.camera,), **changes)


def _latent_first(work: Work, system: str) -> Path:
    return _actions(work, work.own / system, after=pretrained(work, system))


def _model(work: Work, system: str, out: Path, after: Path | None) -> Path:
    if out.exists():
        return out
    settings = FitSettings(
        system=system,
        dataset=work.data,
        out=out,
        preset=work.preset,
        steps=work.steps.model,
        camera=work.camera,
        after=after,
        seed=work.seed,
        resume=_begun(out),
        changes={} if after else work.model,
    )
    return fit(settings).path


def _actions(
    work: Work,
    out: Path,
    *,
    episodes: int | None = None,
    after: Path | None = None,
    pseudo: str | None = None,
    changes: Mapping[str, Any] | None = None,
    plain: bool = False,
) -> Path:
    """A policy that acts. All but the plain one are as large, and learn by the same rule."""
    if out.exists():
        return out
    given = {**work.policy, **(changes or {})}
    if plain:
        given = {name: value for name, value in given.items() if name in _OF_ROBOT}
    if after is not None:
        # The shapes are those of the policy before.
        given = {k: v for k, v in given.items() if k not in SHAPES}
    settings = PolicySettings(
        out=out,
        datasets=(work.data,),
        episodes=work.episodes if episodes is None else episodes,
        after=after,
        pseudo=pseudo,
        space=work.space,
        preset="cloner" if plain else work.preset,
        steps=work.steps.actions,
        validation=0.0,
        seed=work.seed,
        resume=_begun(out),
        changes=given,
    )
    return fit_policy(settings)


def _begun(out: Path) -> bool:
    return out.with_name(out.name + ".training").exists()
