#!/usr/bin/env bash
# A policy learns a task that it has never met, as a lab would teach it, all through ROS: how often it
# succeeds before, 20 episodes teleoperated by the scripted expert, a dataset, finetuning, and how
# often it succeeds after. Two cores, 15 to 36 minutes; each line shows its progress. Run it again
# and it goes on. Exit code 1 where fewer than 40 of the last 50 episodes succeed.
# usage: models/runs/finetune_demo.sh [POLICY] [FOLDER]
set -euo pipefail
policy=${1:-shipped}
out=${2:-out/finetune_demo}
new=(--task place_crate --hand parallel_gripper --difficulty 0)
resumed() { if [ -d "$1.training" ]; then echo --resume; fi; }
[ -f "$out/before/results.json" ] ||
  lam eval --ros --policy "$policy" "${new[@]}" --episodes 30 --out "$out/before"
lam data record "${new[@]}" --episodes 20 --out "$out/recordings"
[ -d "$out/data" ] || lam data from-bags "$out/recordings" --size 192 --out "$out/data"
lam data check "$out/data"

# The motion is known, the thing and its names are new. What the policy learnt of (demo.sh) is shown
# again beside them, so that what it knows of other things stays.
[ -d "$out/earlier" ] ||
  lam data generate --task all --difficulty 0 --cameras front --size 192 --episodes 500 --seed 1 \
    --out "$out/earlier"
[ -d "$out/policy" ] ||
  lam finetune --policy "$policy" --data "$out/data" --train words --replay "$out/earlier" --replay-share 0.5 \
    --out "$out/policy" $(resumed "$out/policy")
[ -f "$out/after/results.json" ] ||
  lam eval --ros --policy "$out/policy" "${new[@]}" --episodes 50 --out "$out/after"
python3 - "$out" <<'END'
import json, pathlib, sys
cells = {}
for when in ("before", "after"):
    results = pathlib.Path(sys.argv[1], when, "results.json")
    cells[when] = json.loads(results.read_text())["cells"][0]
    print("{}: {successes} of {episodes} episodes succeed".format(when, **cells[when]))
sys.exit(cells["after"]["rate"] < 0.8)
END
