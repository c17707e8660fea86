"""The health report as one self-contained page, for a screen of any size, and as JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from html import escape

from lam_models.stages.health.catalogue import (
    CROSS_PROBE_FORMULA,
    PROBE_FORMULA,
    SECTIONS,
    Section,
    formulas,
)
from lam_models.stages.health.examine import Report
from lam_models.stages.health.pictures import KINDS, probe_table
from lam_models.stages.health.words import Illness, illnesses

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --faint: #888; }
body { font: 16px/1.45 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
img { width: 100%; height: auto; background: white; border-radius: 4px; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .4rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; } td.number, th.number { text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
small, .faint { color: var(--faint); } .box { border-left: 4px solid; padding: .3rem .8rem;
  margin: .6rem 0; } .ill { border-color: #c0392b; } .doubtful { border-color: #d68910; }
.well { border-color: #27ae60; }
"""
_CAPTIONS = {
    "frames": "Each row is a clip: its frames, what the system predicts of the next, and the "
    "latent of another clip (fourth and fifth picture) applied to its present frame.",
    "frames_nearest": "Each row is a clip. The system predicts features, not pixels: predictions "
    "are shown as the dataset's frames whose features are nearest to them.",
    "probes": "Error of reading the true action, cut at 1.5; the dashed line is a constant guess.",
    "codes": "Codes in use, of the first token positions.",
}


def page(report: Report, pictures: Mapping[str, bytes]) -> str:
    """HTML with everything in it. pictures: PNGs by name (frames, probes, codes)."""
    title = f"Health of {report.system}"
    frames_caption = "frames_nearest" if report.space["predicts"] == "features" else "frames"
    parts = [
        f"<h1>{escape(title)}</h1><p>{_summary(report)}</p>",
        *_verdict(illnesses(report)),
        _picture("frames", frames_caption, pictures),
        *_probes(report, pictures),
        *(_section(section, report, pictures) for section in SECTIONS),
        *_cross_probes(report),
        _notes(report),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def as_json(report: Report) -> str:
    """The report with its illnesses and formulas; what is not finite becomes null."""
    values = {
        n: v if v is not None and math.isfinite(v) else None for n, v in report.values.items()
    }
    content = {
        "system": report.system,
        "space": dict(report.space),
        "illnesses": [illness._asdict() for illness in illnesses(report)],
        "values": values,
        "notes": report.notes,
        "code_counts": report.code_counts,
        "formulas": formulas(),
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _summary(report: Report) -> str:
    s = report.space
    size = s["codebook_size"]
    kind = f"{size} codes each" if size else "continuous"
    return escape(
        f"{s['tokens']} token(s) of {s['dim']} numbers, {kind}, over {s['gap_s']:g} s; it predicts "
        f"{s['predicts']}. Probes fitted on {s['clips_fitted_on']} clips of "
        f"{s['episodes_fitted_on']} episodes, everything reported on {s['clips_reported_on']} "
        f"clips of {s['episodes_reported_on']} others."
    )


def _verdict(found: list[Illness]) -> Iterable[str]:
    if not found:
        yield '<div class="box well">No illness found.</div>'
    for severity, name, sentence in found:
        yield f'<div class="box {severity}"><b>{escape(name)}</b> ({severity})<br>'
        yield f"{escape(sentence)}</div>"


def _probes(report: Report, pictures: Mapping[str, bytes]) -> Iterable[str]:
    table = probe_table(report.flat())
    if not table:
        return
    named = [("constant", "constant guess"), *((kind, label) for kind, label, _ in KINDS)]
    kinds = [(kind, label) for kind, label in named if any(kind in r for r in table.values())]
    yield f"<h2>Reading the true action</h2><p><small>{escape(PROBE_FORMULA)}</small></p>"
    yield _picture("probes", "probes", pictures)
    yield _table(
        ["", *(label for _, label in kinds)],
        [[group, *(_number(row.get(kind)) for kind, _ in kinds)] for group, row in table.items()],
    )


def _cross_probes(report: Report) -> Iterable[str]:
    values, prefix = report.flat(), "other.probe."
    groups = [name.removeprefix(prefix) for name in values if name.startswith(prefix)]
    if groups:
        yield f"<p><small>{escape(CROSS_PROBE_FORMULA)}</small></p>"
        yield _table(
            ["", "fitted here", "fitted there"],
            [
                [g, _number(values[prefix + g]), _number(values[f"other.probe_own.{g}"])]
                for g in groups
            ],
        )


def _section(section: Section, report: Report, pictures: Mapping[str, bytes]) -> str:
    rows = [m for m in section.measures if m.name in report.values]
    if not rows:
        return ""
    lines = []
    for m in rows:
        sound = f" <small>(sound: {escape(m.sound)})</small>" if m.sound else ""
        lines.append(
            f"<tr><td>{escape(m.title)}{sound}<br><small>{escape(m.formula)}</small></td>"
            f'<td class="number">{_number(report.values[m.name])}</td></tr>'
        )
    picture = _picture("codes", "codes", pictures) if section.title == "Codebook" else ""
    return (
        f"<h2>{escape(section.title)}</h2><p class='faint'>{escape(section.intro)}</p>{picture}"
        f"<table>{''.join(lines)}</table>"
    )


def _notes(report: Report) -> str:
    if not report.notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    return f"<h2>Notes</h2><ul>{items}</ul>"


def _table(head: list[str], rows: list[list[str]]) -> str:
    def line(cells: list[str], tag: str) -> str:
        kinds = ["", *[' class="number"'] * (len(cells) - 1)]
        inner = (
            f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)
        )
        return f"<tr>{''.join(inner)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="wide"><table>{line(head, "th")}{body}</table></div>'


def _picture(name: str, caption: str, pictures: Mapping[str, bytes]) -> str:
    if name not in pictures:
        return ""
    said, data = escape(_CAPTIONS[caption]), base64.b64encode(pictures[name]).decode()
    return f'<p><img alt="{said}" src="data:image/png;base64,{data}"><br><small>{said}</small></p>'


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
