#!/usr/bin/env bash
# A policy that knows one hand and calm scenes learns of more: 100 episodes a task with the four-finger
# hand, shown through the shared space, and 100 a task in which everything distracts, beside those that
# it knows. Then it picks and places the same 50 new scenes through ROS with each hand, and where
# everything distracts. Half an hour of two cores to an hour; run it again and it goes on where it was.
# usage: models/runs/more.sh [POLICY] [FOLDER]
set -euo pipefail
policy=${1:-shipped} out=${2:-out/more}
mkdir -p "$out"
resumed() { if [ -d "$1.training" ]; then echo --resume; fi; }
data() {
  [ -d "$1" ] ||
    lam data generate --task all --difficulty 0 --cameras front --size 192 --episodes 500 --out "$@"
}

data "$out/earlier" --seed 1
data "$out/hand" --seed 5 --hand four_finger --carried
data "$out/distracted" --seed 6 --distractors all

precision=auto
if grep -qsw amx_bf16 /proc/cpuinfo; then precision=bf16; fi
[ -d "$out/policy" ] ||
  lam finetune --policy "$policy" --data "$out/hand" "$out/distracted" --replay "$out/earlier" \
    --replay-share 0.34 --steps 1500 --lr 0.001 --precision $precision --out "$out/policy" $(resumed "$out/policy")

judge() { # HAND DISTRACTORS
  # One worker: two would wait for each other, and their policies with them.
  [ -f "$out/results-$1-$2/results.json" ] ||
    lam eval --ros --policy "$out/policy" --task pick_place --hand "$1" --distractors "$2" \
      --difficulty 0 --episodes 50 --seed 3 --workers 1 --out "$out/results-$1-$2"
}
judge four_finger none
judge parallel_gripper all
judge parallel_gripper none
judge five_finger none
