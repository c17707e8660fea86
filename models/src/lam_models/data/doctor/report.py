"""The diagnosis as a folder: report.md, and a picture for each finding that has one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lam_models.data.doctor.examine import CHECKS, Diagnosis
from lam_models.data.doctor.finding import Finding, Strip
from lam_models.data.doctor.patient import Patient, span_s


def write_report(diagnosis: Diagnosis, out: Path) -> Path:
    """Write report.md and pictures/ into the folder `out`; the path of report.md."""
    from lam_models.data.doctor.pictures import draw

    patient = diagnosis.patient
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    sections = []
    for ordinal, finding in enumerate(diagnosis.findings, start=1):
        picture = ""
        if patient is not None and finding.shows is not None:
            picture = f"pictures/{ordinal:02d}-{finding.name.replace(' ', '-')}.png"
            (out / picture).write_bytes(draw(patient, finding.shows))
        sections.append(_section(ordinal, finding, picture))
    if patient is not None and patient.cameras:
        for camera in patient.cameras:
            name = f"pictures/{camera}.png"
            (out / name).write_bytes(draw(patient, _first_frames(patient, camera)))
            sections.append(f"## Camera {camera}\n\nFirst frames.\n\n![{camera}]({name})\n")
    where = out / "report.md"
    where.write_text("\n".join([*_head(diagnosis), *sections]), encoding="utf-8")
    return where


def verdict(diagnosis: Diagnosis) -> str:
    """One sentence."""
    faults, notes = len(diagnosis.faults), len(diagnosis.findings) - len(diagnosis.faults)
    if not diagnosis.findings:
        return f"Nothing found: {len(CHECKS)} checks passed."
    return f"{faults} fault(s) and {notes} note(s)."


def summary(patient: Patient) -> str:
    """What the dataset is, in a line."""
    frames = sum(episode.length for episode in patient.episodes)
    cameras = ", ".join(camera.rpartition(".")[2] for camera in patient.cameras) or "none"
    return (
        f"{len(patient.episodes)} episodes, {frames} frames at {patient.fps} Hz "
        f"({span_s(patient, frames)}), cameras: {cameras}"
    )


def _head(diagnosis: Diagnosis) -> Iterator[str]:
    yield f"# Check of {diagnosis.path}\n"
    if diagnosis.patient is not None:
        yield f"{summary(diagnosis.patient)}\n"
    yield f"**{verdict(diagnosis)}**\n"


def _section(ordinal: int, finding: Finding, picture: str) -> str:
    lines = [
        f"## {ordinal}. {finding.name} ({finding.severity})",
        "",
        finding.said,
        "",
        f"What to do: {finding.cure}",
        "",
    ]
    if picture:
        lines += [f"![{finding.name}]({picture})", ""]
    return "\n".join(lines)


def _first_frames(patient: Patient, camera: str) -> Strip:
    step = max(1, len(patient.episodes) // 6)
    return Strip(camera, tuple((episode.index, 0) for episode in patient.episodes[::step][:6]))
