#!/usr/bin/env bash
# The shipped vision network "table_vit": its data (4 minutes of a core), its training (4 minutes) and what
# is read from it. To ship another: copy the folder to models/src/lam_models/nn/weights/.
# usage: models/runs/vision.sh [FOLDER]
set -euo pipefail
out=${1:-out/vision}
tasks=reach,push_to_zone,pick_place,stack,open_drawer
videos=(--task "$tasks" --hand all --episodes 150 --size 64)
[ -d "$out/plain" ] || lam data generate "${videos[@]}" --seed 1 --out "$out/plain"
[ -d "$out/distracted" ] ||
  lam data generate "${videos[@]}" --seed 2 --distractors all --out "$out/distracted"
lam fit-vision "$out"/plain/* "$out"/distracted/* --steps 1500 --out "$out/table_vit"
