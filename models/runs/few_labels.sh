#!/usr/bin/env bash
# What video is worth where labels are few: 20 labelled episodes a task, and the same with 1500 videos
# whose hand poses inverse dynamics read (learnt of the same 100 episodes). Both learn as long, and
# both pick and place the same 50 new scenes through ROS. Some hours of two slow cores; run it again and
# it goes on where it was.
# usage: models/runs/few_labels.sh [FOLDER [SEED]]
set -euo pipefail
out=${1:-out/few_labels} seed=${2:-0}
mkdir -p "$out"
front='cameras=["front"]'
resumed() { if [ -d "$1.training" ]; then echo --resume; fi; }
data() { lam data generate --task all --difficulty 0 --cameras front --size 192 --out "$@"; }
learn() { # NAME, and what is learnt beside the labels
  local to="$out/$1-$seed"
  [ -d "$to" ] || lam fit-actions "$out/labelled" "${@:2}" --set "$front" --steps 1000 \
    --seed "$seed" --out "$to" $(resumed "$to")
}

[ -d "$out/labelled" ] || data "$out/labelled" --episodes 100 --seed 3
[ -d "$out/videos" ] || data "$out/videos" --episodes 1500 --seed 1000 --without-actions

[ -d "$out/inverse" ] ||
  lam fit-idm "$out/labelled" --set "$front" --steps 1000 --out "$out/inverse" $(resumed "$out/inverse")
lam label-actions "$out/inverse" "$out/videos"

learn scratch
learn video --video "$out/videos" --places-of-video
for name in scratch video; do
  # One worker: two would wait for each other, and their policies with them.
  [ -d "$out/results-$name-$seed" ] ||
    lam eval --ros --policy "$out/$name-$seed" --task pick_place --hand parallel_gripper \
      --difficulty 0 --episodes 50 --seed 2 --workers 1 --out "$out/results-$name-$seed"
done
