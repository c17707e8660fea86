#!/usr/bin/env bash
# Video -> latent-action model -> labels -> report, on simulated clips: two cores, a few minutes.
# Each line is one command that reads folders and writes one; run it again and it goes on.
# usage: models/runs/tiny.sh [FOLDER]
set -euo pipefail
out=${1:-out/tiny}
[ -d "$out/clips" ] ||
  lam data generate --task reach,push_to_zone --episodes 60 --size 64 --out "$out/clips"
[ -d "$out/lapa" ] ||
  lam fit lapa "$out/clips" --camera front --steps 600 --out "$out/lapa" \
    $([ -d "$out/lapa.training" ] && echo --resume)
lam label "$out/lapa" "$out/clips" --camera front
lam health "$out/lapa" "$out/clips" --camera front --clips 800 --out "$out/report" --overwrite
