#!/usr/bin/env bash
# The demo's policy from nothing: simulated video -> latent-action model -> labels -> a policy of those
# latents -> a hundred labelled episodes a task -> a folder for the robot. Two cores, no GPU.
# Each line is one command that reads folders and writes one; run it again and it goes on.
# usage: models/runs/demo.sh [FOLDER]
set -euo pipefail
out=${1:-out/demo_policy}
tasks=reach,push_to_zone,pick_place,stack,open_drawer
resumed() { if [ -d "$1.training" ]; then echo --resume; fi; }

# Video without actions: cheap, so there is more of it.
[ -d "$out/video" ] ||
  lam data generate --task "$tasks" --episodes 1500 --without-actions --seed 1 --out "$out/video"
[ -d "$out/lapa" ] ||
  lam fit lapa "$out/video" --camera front --steps 3000 --out "$out/lapa" $(resumed "$out/lapa")
lam label "$out/lapa" "$out/video" --camera front
[ -d "$out/latent" ] ||
  lam fit-policy "$out/video" --steps 4000 --precision bf16 --out "$out/latent" \
    $(resumed "$out/latent")

# A few episodes of a teacher, whose errors on the way show how to come back.
[ -d "$out/labelled" ] ||
  lam data generate --task "$tasks" --episodes 500 --only-successes --seed 2 --out "$out/labelled"
[ -d "$out/grounded" ] ||
  lam fit-actions "$out/labelled" --after "$out/latent" --steps 8000 --precision bf16 \
    --out "$out/grounded" $(resumed "$out/grounded")
lam export "$out/grounded" --out "$out/policy" --overwrite
lam eval --policy "$out/policy" --hand parallel_gripper --episodes 50 --seed 1000 --out "$out/eval"
