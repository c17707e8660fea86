"""Illnesses of a latent-action system, in words: the number that says so and what usually helps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from lam_models.stages.health.examine import Report

Severity = Literal["ill", "doubtful"]
Numbers = Mapping[str, float]


class Illness(NamedTuple):
    """ill: the latents cannot serve as actions. doubtful: they may, less well than they could."""

    severity: Severity
    name: str
    sentence: str


def illnesses(report: Report) -> list[Illness]:
    """What is wrong, the worst first; nothing where all measured numbers are sound."""
    numbers = report.flat()
    found = [illness for look in _LOOKS for illness in look(numbers)]
    # After a collapse everything else follows from it.
    return sorted(found, key=lambda illness: illness.severity != "ill")


def _collapse(n: Numbers) -> list[Illness]:
    spread, sequences = n.get("latent.spread", 1.0), n.get("codebook.sequence_perplexity")
    if sequences is not None and sequences < 1.5:
        said = f"nearly every clip gets the same codes (perplexity of sequences {sequences:.2f})"
    elif spread < 0.01:
        said = f"all clips get nearly the same latent (spread {spread:.1g} of its size)"
    else:
        return []
    cure = "replace unused codes for the whole training, use a smaller gap or learning rate"
    return [
        Illness("ill", "collapse", f"The latents have collapsed: {said}. Usually helps: {cure}.")
    ]


def _codes(n: Numbers) -> list[Illness]:
    found = []
    constant = n.get("codebook.constant_positions", 0.0)
    if constant:
        said = (
            f"{constant:.0f} token position(s) take the same code in 99 % of the clips or more "
            f"(top share {n['codebook.top_share']:.2f}): they say nothing. Usually helps: fewer "
            "tokens, or replacing unused codes for the whole training."
        )
        found.append(Illness("doubtful", "constant codes", said))
    used = n.get("codebook.used_share", 1.0)
    if used < 0.5:
        said = (
            f"Only {used:.0%} of the codes are ever used, on average over the positions. Usually "
            "helps: replacing unused codes for the whole training, or a smaller codebook."
        )
        found.append(Illness("doubtful", "idle codes", said))
    return found


def _prediction(n: Numbers) -> list[Illness]:
    found = []
    copy, gain = n.get("prediction.copy_ratio"), n.get("prediction.delta_psnr_db")
    if copy is not None and copy >= 0.98:
        said = (
            f"Predictions are no nearer to the next frame than the present frame is (copy ratio "
            f"{copy:.2f}; below 1 is needed). Usually helps: longer training, a larger gap, more "
            "capacity in the latent."
        )
        found.append(Illness("ill", "copying", said))
    if gain is not None and gain < 0.2:
        said = (
            f"Predictions are as good with the latent of another clip ({gain:+.2f} dB from the "
            "inferred one). Usually helps: a decoder that sees less of the past, a larger gap."
        )
        found.append(Illness("ill", "latent ignored", said))
    return found


def _image(n: Numbers) -> list[Illness]:
    ratio, gain = n.get("prediction.unpaired_ratio"), n.get("prediction.delta_psnr_db", 0.0)
    # A latent that is ignored rebuilds foreign frames badly as well; that illness has its own name.
    if ratio is None or ratio >= 3 or gain < 0.2:
        return []
    severity: Severity = "ill" if ratio < 1.5 else "doubtful"
    said = (
        f"A frame of another episode is rebuilt nearly as well as the true next one ({ratio:.2f} "
        "times its error): the latent holds the image, not what changed. Usually helps: a narrower "
        "latent, the difference of the frames before the bottleneck, augmentation of both frames."
    )
    return [Illness(severity, "image compression, not action", said)]


def _action(n: Numbers) -> list[Illness]:
    found = []
    linear, mlp = n.get("probe.linear.all"), n.get("probe.mlp.all")
    constant = n.get("probe.constant.all", 1.0)
    if linear is not None and mlp is not None and min(linear, mlp) >= 0.9 * constant:
        said = (
            f"The true action can hardly be read from the latent (NMSE {linear:.2f} linear, "
            f"{mlp:.2f} MLP; {constant:.2f} for a constant guess). Usually helps: a few labelled "
            "episodes, prediction in a feature space, a gap that fits the speed of the motion."
        )
        found.append(Illness("ill", "no action in the latent", said))
    raw = n.get("probe.linear_frames.all")
    if linear is not None and raw is not None and linear > raw + 0.02 and linear > 0.2:
        said = (
            f"The action is read better from raw small frames (NMSE {raw:.2f}) than from the "
            f"latent ({linear:.2f}), both linearly: training has lost it."
        )
        found.append(Illness("doubtful", "worse than untrained", said))
    before = n.get("probe.linear_unquantised.all")
    if linear is not None and before is not None and linear > before + 0.2:
        said = (
            f"Quantisation loses the action: NMSE {linear:.2f} after it, {before:.2f} before. "
            "Usually helps: more codes or tokens, or reading the unquantised values."
        )
        found.append(Illness("doubtful", "lost in quantisation", said))
    return found


def _leaks(n: Numbers) -> list[Illness]:
    found = []
    state, by_action = n.get("leak.state"), n.get("leak.state_from_action", 1.0)
    if state is not None and state < 0.5 and state < by_action - 0.2:
        said = (
            f"The latent tells where the robot is (NMSE of its state {state:.2f}, from the true "
            f"action {by_action:.2f}). Usually helps: a narrower latent, augmenting both frames."
        )
        found.append(Illness("doubtful", "state leak", said))
    moves, expected = n.get("leak.distractors"), n.get("leak.distractors_from_action", 1.0)
    if moves is not None and moves < min(expected, 1.0) - 0.1:
        action = n.get("probe.linear.all", 1.0)
        severity: Severity = "ill" if moves < action else "doubtful"
        said = (
            f"The latent follows distractors (NMSE of their movement {moves:.2f}, of the action "
            f"{action:.2f}). Usually helps: a few labelled episodes, task-centric codes, "
            "prediction in a feature space."
        )
        found.append(Illness(severity, "follows distractors", said))
    return found


def _transfer(n: Numbers) -> list[Illness]:
    found = []
    for prefix, where in (("transfer", "another episode"), ("other", "the other dataset")):
        ratio, own = n.get(f"{prefix}.migration"), n.get(f"{prefix}.migration_own", 0.0)
        if ratio is not None and ratio >= 1 > own:
            said = (
                f"A latent applied to {where} predicts worse than leaving the frame as it is "
                f"({ratio:.2f} times the error; {own:.2f} with its own latent)."
            )
            found.append(Illness("doubtful", f"bound to its scene ({where})", said))
        cycle = n.get(f"{prefix}.cycle")
        if cycle is not None and cycle >= 1:
            said = (
                f"A latent decoded on {where} and encoded again comes back as any other "
                f"(cycle error {cycle:.2f}; 0 is the same, 1 a random one)."
            )
            found.append(Illness("doubtful", f"no way back ({where})", said))
    for name, ratio in n.items():
        group = name.removeprefix("other.probe_ratio.")
        if group == name or ratio <= 2:
            continue
        carried, own = n[f"other.probe.{group}"], n[f"other.probe_own.{group}"]
        if carried > own + 0.1:
            said = (
                f"Latents of the other dataset mean another {group}: a probe from here reads it "
                f"there with NMSE {carried:.2f}, one from there with {own:.2f}."
            )
            found.append(Illness("doubtful", f"another meaning elsewhere ({group})", said))
    return found


_LOOKS: tuple[Callable[[Numbers], list[Illness]], ...] = (
    _collapse,
    _prediction,
    _image,
    _action,
    _codes,
    _leaks,
    _transfer,
)
