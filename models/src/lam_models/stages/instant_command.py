"""`lam policy instant`: a folder of the policy without a network, for checking a lab's wiring."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "write a policy without a network: for checking topics, and for measuring latency"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument(
        "--cameras", nargs="*", default=(), metavar="NAME", help="cameras that it waits for"
    )
    parser.add_argument(
        "--joints", nargs="*", default=(), metavar="NAME", help="joints that it waits for"
    )
    parser.add_argument("--pose", action="store_true", help="it waits for the end effector's pose")
    parser.add_argument(
        "--size", type=int, default=224, metavar="PX", help="side of its square pictures (224)"
    )
    parser.add_argument("--space", default="", help="space of hand latents (the shipped one)")
    parser.add_argument(
        "--amplitude", type=float, default=0.0, metavar="M", help="of a slow wave along z (0: none)"
    )
    parser.add_argument("--period", type=float, default=6.0, metavar="S", help="of the wave (6)")
    parser.add_argument(
        "--delay", type=float, default=0.0, metavar="S", help="time it pretends to think (0)"
    )


def run(args: argparse.Namespace) -> int:
    from lam_models.checkpoint import CameraSpec
    from lam_models.hands.space import open_space
    from lam_models.policy.instant import Config, sine, write_instant

    config = Config(delay_s=args.delay)
    cameras = tuple(CameraSpec(name, args.size, args.size) for name in args.cameras)
    state = {"hand": tuple(args.joints)} if args.joints else {}
    if args.pose:
        parts = ("x_m", "y_m", "z_m", "rx_rad", "ry_rad", "rz_rad")
        state["ee"] = tuple(f"ee.{part}" for part in parts)
    motion = sine(args.amplitude, args.period, config.dt_s)
    space = open_space(args.space).latent
    path = write_instant(args.out, space, cameras, state=state, config=config, motion=motion)
    print(f"{path}: try  lam launch policy.launch.xml policy:={path} dry_run:=true")
    return 0
