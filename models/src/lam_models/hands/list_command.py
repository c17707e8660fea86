"""`lam hand list`: the hands that come with this package."""

from __future__ import annotations

import argparse

SUMMARY = "list the hands that come with this package"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def run(args: argparse.Namespace) -> int:
    del args
    from lam_models.hands.spec_file import read_hand, shipped_hands

    for name, path in shipped_hands().items():
        spec = read_hand(path)
        joints = f"{len(spec.actuated)} of {len(spec.joints)} joints"
        print(f"{name:<18} {spec.side:<6} {joints:<16} {', '.join(spec.tips)}")
    return 0
