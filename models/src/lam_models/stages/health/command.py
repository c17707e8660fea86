"""`lam health`: what the latents of a trained model hold, as a page with pictures and as JSON."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lam_models.command import UserError
from lam_models.stages.device import device_named

if TYPE_CHECKING:
    from lam_models.data.clips import Clips
    from lam_models.stages.health.examine import Report
    from lam_models.stages.health.truth import Names

SUMMARY = "measure what a trained model's latents hold, and name what is wrong with them"

_FEWEST_CLIPS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="MODEL", type=Path, help="folder of a trained latent-action model")
    add("dataset", metavar="DATASET", type=Path, help="a LeRobot dataset, or a folder of videos")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write the report to")
    add("--overwrite", action="store_true", help="replace a report at DIR")
    add("--other", type=Path, metavar="DATASET2", help="another dataset, e.g. of another robot")
    add("--camera", metavar="NAME", help="default: the dataset's first")
    add("--other-camera", metavar="NAME", help="of DATASET2 (default: the same)")
    add(
        "--clips",
        type=int,
        default=2000,
        help="clips that probes are fitted on; half as many are reported on (default %(default)s)",
    )
    add(
        "--validation",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="share of the episodes reported on; with the model's own share and seed they are "
        "those it was not trained on (default %(default)s)",
    )
    add("--seed", type=int, default=0, help="default %(default)s")
    add("--device", default="auto", help="cpu, cuda or auto (default)")
    add("--batch-size", type=int, default=64, help="clips at once (default %(default)s)")
    add("--cache", choices=("raw", "jpeg"), default="raw", help="how frames are kept")


def run(args: argparse.Namespace) -> int:
    """Exit code 0; a sick model is a result, not an error."""
    if args.clips < _FEWEST_CLIPS:
        raise UserError(f"--clips is {args.clips}; allowed: {_FEWEST_CLIPS} or more")
    if not 0 < args.validation < 1:
        raise UserError(f"--validation is {args.validation:g}; allowed: above 0, below 1")
    if args.out.exists() and not args.overwrite:
        raise UserError(f"{args.out} exists already; choose another folder or give --overwrite")

    from lam_models.stages.health.examine import examine
    from lam_models.stages.health.gallery import gallery
    from lam_models.stages.opening import open_system

    device = device_named(args.device)
    opened = open_system(args.model, device)
    _refuse_what_encodes_nothing(opened.model, opened.name)
    train, test, names = _sample(args, args.dataset, args.camera, opened.model.config)
    other, other_names = None, None
    if args.other is not None:
        camera = args.other_camera or args.camera
        *other, other_names = _sample(args, args.other, camera, opened.model.config)
    report = examine(
        opened.model,
        train,
        test,
        None if other is None else (other[0], other[1]),
        names=names,
        other_names=other_names,
        name=opened.name,
        seed=args.seed,
        device=device,
        batch_size=args.batch_size,
    )
    _write(args.out, report, gallery(opened.model, test, seed=args.seed, device=device))
    _print(report, args.out)
    return 0


def _refuse_what_encodes_nothing(model: Any, name: str) -> None:
    from lam_models.systems.roles import Labeler

    if not isinstance(model, Labeler):
        raise UserError(f"'{name}' encodes no clips: there are no latents to examine")


def _sample(
    args: argparse.Namespace, dataset: Path, camera: str | None, config: Any
) -> tuple[Clips, Clips, Names]:
    from lam_models.stages.health.sample import sample

    return sample(
        dataset,
        config,
        camera=camera,
        clips=args.clips,
        validation=args.validation,
        seed=args.seed,
        cache=args.cache,
    )


def _write(out: Path, report: Report, shown: Any) -> None:
    """The folder, written beside its place and renamed there."""
    from lam_models.stages.health.page import as_json, page
    from lam_models.stages.health.pictures import draw

    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    pictures = draw(report, shown)
    for name, data in pictures.items():
        (partial / f"{name}.png").write_bytes(data)
    (partial / "report.json").write_text(as_json(report), encoding="utf-8")
    (partial / "report.html").write_text(page(report, pictures), encoding="utf-8")
    if out.exists():
        shutil.rmtree(out)
    partial.rename(out)


def _print(report: Report, out: Path) -> None:
    from lam_models.stages.health.words import illnesses

    found = illnesses(report)
    for severity, name, sentence in found:
        print(f"{severity:8}  {name}: {sentence}")
    if not found:
        print("No illness found.")
    print(f"The whole report: {out / 'report.html'}")
