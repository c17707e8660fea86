#!/usr/bin/env bash
# The demo's policy from nothing: simulated video -> latent-action model -> latent policy -> a few
# labelled episodes -> policy folder. Two cores, under 90 minutes. Each line is one command that
# reads folders and writes one, and shows its progress; run it again and it goes on.
# usage: models/runs/demo.sh [FOLDER]
set -euo pipefail
out=${1:-out/demo_policy}
resumed() { if [ -d "$1.training" ]; then echo --resume; fi; }
data() {
  lam data generate --task all --difficulty 0 --size 96 --out "$@"
}
[ -d "$out/videos" ] || data "$out/videos" --episodes 1500 --seed 1000 --without-actions
[ -d "$out/labelled" ] || data "$out/labelled" --episodes 500 --seed 1
[ -d "$out/lapa" ] ||
  lam fit lapa "$out/videos" --camera front --steps 2000 --out "$out/lapa" $(resumed "$out/lapa")
lam label "$out/lapa" "$out/videos" --camera front
[ -d "$out/latent" ] ||
  lam fit-policy "$out/videos" --steps 1500 --out "$out/latent" $(resumed "$out/latent")
[ -d "$out/trained" ] ||
  lam fit-actions "$out/labelled" --after "$out/latent" --out "$out/trained" $(resumed "$out/trained")
[ -d "$out/policy" ] || lam export "$out/trained" --out "$out/policy"
lam eval --policy "$out/policy" --task all --difficulty 0 --hand parallel_gripper --episodes 50
