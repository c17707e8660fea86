"""Do the files, the tables and info.json agree? What could not even be read comes first."""

from __future__ import annotations

from collections.abc import Iterator

from lam_models.data.doctor.finding import Finding, listed
from lam_models.data.doctor.patient import Patient

_CURE_TABLE = "Convert the recordings again; somebody edited one of the tables by hand or merged."
# One rate is stored as 29.97 and meant as 30.
_RATE_SHARE = 0.02


def damage(patient: Patient) -> Iterator[Finding]:
    """What was found on the way in."""
    yield from patient.damage


def counts(patient: Patient) -> Iterator[Finding]:
    """The numbers of episodes, frames and tasks that info.json states."""
    totals, episodes = patient.info.totals, patient.episodes
    rows = sum(episode.length for episode in episodes)
    tasks = totals.tasks if patient.tasks is None else len(patient.tasks)
    stated = (
        ("episodes", totals.episodes, len(episodes)),
        ("frames", totals.frames, rows),
        ("tasks", totals.tasks, tasks),
    )
    for what, said, found in stated:
        if said != found:
            sentence = f"info.json says {said} {what}, the tables hold {found}."
            yield Finding("counts disagree", sentence, _CURE_TABLE)
    position = 0
    for episode in episodes:
        if episode.start != position or episode.length <= 0:
            said = (
                f"Episode {episode.index} has rows {episode.start}:{episode.stop}, the one before "
                f"it ends at {position}."
            )
            yield Finding("counts disagree", said, _CURE_TABLE, (episode.index,))
        position = episode.stop


def data_rows(patient: Patient) -> Iterator[Finding]:
    """Data files that hold fewer rows than their episodes need."""
    broken = {number for finding in patient.damage for number in finding.episodes}
    short = tuple(
        episode.index
        for position, episode in enumerate(patient.episodes)
        if patient.rows(position, "index") is None and episode.index not in broken
    )
    if short:
        said = f"The data files end before the rows of {listed(short)}."
        yield Finding("counts disagree", said, _CURE_TABLE, short)


def video_lengths(patient: Patient) -> Iterator[Finding]:
    """Videos with fewer frames than the episodes have rows."""
    known = {video.path: video for video in patient.videos}
    for camera in patient.cameras:
        short = []
        for episode in patient.episodes:
            span = episode.videos[camera]
            ends = known[span.path].frames if span.path in known else span.stop
            if min(span.stop, ends) - span.start != episode.length:
                short.append((episode.index, episode.length, min(span.stop, ends) - span.start))
        if short:
            number, rows, frames = short[0]
            said = (
                f"Camera '{camera}' does not have one frame for each row in "
                f"{listed([one[0] for one in short])}: episode {number} has {rows} rows and "
                f"{max(frames, 0)} frames."
            )
            cure = "Frames were lost while recording, or the video was cut: convert these again."
            numbers = tuple(one[0] for one in short)
            yield Finding("video and rows differ in length", said, cure, numbers)


def video_sizes(patient: Patient) -> Iterator[Finding]:
    """Videos of another size than info.json says."""
    for video in patient.videos:
        height, width, _ = patient.info.schema.features[video.camera].shape
        if video.size != (height, width):
            said = (
                f"{video.path.name} of camera '{video.camera}' is {video.size[1]}x{video.size[0]}, "
                f"info.json says {width}x{height} ({listed(video.episodes)})."
            )
            cure = "Resize while converting, so that a camera keeps one size."
            yield Finding("wrong picture size", said, cure, video.episodes)


def video_rates(patient: Patient) -> Iterator[Finding]:
    """Videos whose frames lie farther apart or closer than the dataset's."""
    for video in patient.videos:
        if video.rate and abs(video.rate / patient.fps - 1) > _RATE_SHARE:
            said = (
                f"{video.path.name} of camera '{video.camera}' runs at {video.rate:.3g} frames a "
                f"second, the dataset at {patient.fps} ({listed(video.episodes)}): pictures and "
                "rows drift apart."
            )
            cure = "Convert these recordings again with the right --fps."
            yield Finding("wrong rate", said, cure, video.episodes)
