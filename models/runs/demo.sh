#!/usr/bin/env bash
# The demo's policy from nothing: simulated video -> latent-action model -> latent policy -> a few
# labelled episodes -> policy folder, and how often it succeeds. 40 to 80 minutes of two cores. Each
# line is one command that reads folders, writes one and shows its progress; run it again and it
# goes on where it was.
# usage: models/runs/demo.sh [FOLDER]
set -euo pipefail
out=${1:-out/demo_policy}
mkdir -p "$out"
resumed() { if [ -d "$1.training" ]; then echo --resume; fi; }
data() { lam data generate --task all --difficulty 0 --cameras front --size 192 --out "$@"; }

# What a robot shows (video without actions), and what a person taught it (100 episodes a task).
[ -d "$out/videos" ] || data "$out/videos" --episodes 1500 --seed 1000 --without-actions
[ -d "$out/labelled" ] || data "$out/labelled" --episodes 500 --seed 1

# LAPA: codes of the motion in the video, learnt of pictures alone.
[ -d "$out/lapa" ] ||
  lam fit lapa "$out/videos" --camera front --steps 1500 --out "$out/lapa" $(resumed "$out/lapa")
lam label "$out/lapa" "$out/videos"

# Where the hand of the video is, read by inverse dynamics that are learnt of the labelled episodes:
# so the video also shows what words look like, and where one goes with them.
[ -d "$out/inverse" ] ||
  lam fit-idm "$out/labelled" --set 'cameras=["front"]' --steps 1000 \
    --out "$out/inverse" $(resumed "$out/inverse")
lam label-actions "$out/inverse" "$out/videos"

# One policy learns codes and places of the video, and its actions of the labelled episodes alone. It
# sees with the calibrated camera only: what a wrist camera shows differs from hand to hand. Its
# answers may come up to 0.2 s late. A CPU with AMX takes less time for a step in bf16.
precision=auto
if grep -qsw amx_bf16 /proc/cpuinfo; then precision=bf16; fi
[ -d "$out/trained" ] ||
  lam fit-actions "$out/labelled" --video "$out/videos" --motion lapa --places-of-video --delay 0.2 \
    --steps 2700 --precision $precision --set 'cameras=["front"]' \
    --out "$out/trained" $(resumed "$out/trained")
[ -d "$out/policy" ] || lam export "$out/trained" --out "$out/policy"
lam eval --policy "$out/policy" --task all --hand parallel_gripper --difficulty 0 --episodes 20 \
  --out "$out/results"
