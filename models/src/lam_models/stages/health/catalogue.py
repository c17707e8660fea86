"""Every measure in words: what it is, its formula and what is sound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """name: in `Report.values`; title, formula and sound: for the reader."""

    name: str
    title: str
    formula: str
    sound: str = ""


@dataclass(frozen=True)
class Section:
    title: str
    intro: str
    measures: tuple[Measure, ...]


PROBE_FORMULA = (
    "NMSE = E‖â − a‖² / Σ_d Var(a_d), 0 reads the action, a constant guess has 1. Probes are "
    "fitted on some episodes, ridge and stopping time chosen within them, and reported on others. "
    "Raw frames: o and o′ − o as 16 × 16 pixels, 128 main directions: what an untrained look gives."
)

AMBIGUOUS = Section(
    "Where the frames alone tell little",
    "NMSE of a linear probe on the third of the clips whose action a probe of the raw frames reads "
    "worst, over all columns.",
    (
        Measure("ambiguous.linear", "from the latent", "NMSE(a | z)", "below that of raw frames"),
        Measure("ambiguous.linear_unquantised", "from the unquantised latent", "NMSE(a | z)"),
        Measure("ambiguous.linear_frames", "from raw frames", "NMSE(a | o, o′ − o)"),
    ),
)

LEAKS = Section(
    "What else the latent holds",
    "NMSE of a linear probe of the latent; beside it the same probe of the true action, which is "
    "what the latent may tell through the action alone.",
    (
        Measure("leak.state", "state of the robot now", "NMSE(state_t | z)", "near 1"),
        Measure("leak.state_from_action", "… from the true action", "NMSE(state_t | a)"),
        Measure("leak.distractors", "movement of distractors", "NMSE(Δ distractors | z)", "near 1"),
        Measure("leak.distractors_from_action", "… from the true action", "NMSE(Δ | a)"),
        Measure("leak.objects", "movement of objects", "NMSE(Δ objects | z)", "as low as it goes"),
        Measure("leak.objects_from_action", "… from the true action", "NMSE(Δ | a)"),
        Measure("latent.spread", "spread", "√(E‖z − E z‖² / E‖z‖²)", "above 0"),
    ),
)

CODES = Section(
    "Codebook",
    "Over the clips reported on; n_k counts a code at a token position, p = n_k / Σ n.",
    (
        Measure(
            "codebook.used_share", "codes in use", "|{k: n_k > 0}| / K, mean of positions", "1"
        ),
        Measure(
            "codebook.perplexity", "perplexity", "exp(−Σ p log p), mean of positions", "near K"
        ),
        Measure(
            "codebook.top_share", "most frequent code", "max p over all positions", "far from 1"
        ),
        Measure(
            "codebook.constant_positions", "constant tokens", "positions with max p ≥ 0.99", "0"
        ),
        Measure("codebook.sequences", "different sequences", "distinct rows of all tokens"),
        Measure("codebook.sequence_perplexity", "perplexity of sequences", "exp(−Σ p log p)"),
        Measure("codebook.sequence_top_share", "most frequent sequence", "max p", "far from 1"),
    ),
)

PREDICTION = Section(
    "Prediction",
    "D predicts o′ from o and z; errors are mean squares in the space the system predicts in.",
    (
        Measure("prediction.copy_ratio", "copy ratio", "MSE(ô′, o′) / MSE(o, o′)", "below 1"),
        Measure(
            "prediction.delta_psnr_db",
            "gain of the latent, dB",
            "PSNR(inferred z) − PSNR(z of another clip) = 10 log₁₀(MSE_other / MSE)",
            "above 0",
        ),
        Measure(
            "prediction.unpaired_ratio",
            "unpaired frames",
            "MSE with o′ replaced by a frame of another episode / MSE; near or below 1 says: image "
            "compression, not action",
            "above 3",
        ),
        Measure(
            "prediction.unpaired_change_ratio",
            "… how much farther those frames are",
            "MSE(o, foreign o′) / MSE(o, o′)",
        ),
        Measure("prediction.psnr_db", "PSNR, dB", "−10 log₁₀ MSE(ô′, o′)"),
    ),
)

_CARRY = (
    Measure(
        "migration",
        "migration error",
        "E‖D(o_j, z_i) − o′_j‖² / E‖o_j − o′_j‖² over pairs whose standardised actions are within "
        "0.25 of each other",
        "below 1",
    ),
    Measure("migration_own", "… with its own latent", "the same with z_j: the best it can be"),
    Measure("migration_random", "… with any latent", "the same with a random z"),
    Measure(
        "cycle",
        "cycle error",
        "E‖z(o₃, D(o₃, z)) − z‖ / E‖z − z_other‖",
        "near 0",
    ),
    Measure("cycle_own", "… on its own frame", "the same with o₃ = o"),
    Measure(
        "retrieval_top1",
        "retrieval of the same action",
        "share of clips whose nearest latent is that of the clip with the same action",
        "above chance",
    ),
    Measure("retrieval_chance", "… by chance", "1 / N"),
    Measure("pairs", "pairs of the same action", "how many were found"),
)


def _carry(prefix: str, title: str, intro: str) -> Section:
    named = (Measure(f"{prefix}.{m.name}", m.title, m.formula, m.sound) for m in _CARRY)
    return Section(title, intro, tuple(named))


WITHIN = _carry("transfer", "On other episodes", "A latent of one clip applied to another episode.")
ACROSS = _carry("other", "On the other dataset", "A latent from here applied to clips from there.")

ALGEBRA = Section(
    "Algebra",
    "a, b, c are frames one gap apart.",
    (
        Measure("algebra.additivity", "additivity", "E‖z_ac − (z_ab + z_bc)‖ / E‖z_ab‖", "near 0"),
        Measure("algebra.reversibility", "reversibility", "E‖z_ab + z_ba‖ / E‖z_ab‖", "near 0"),
    ),
)

SECTIONS = (AMBIGUOUS, PREDICTION, LEAKS, CODES, WITHIN, ACROSS, ALGEBRA)
CROSS_PROBE_FORMULA = (
    "NMSE of a linear probe fitted here and of one fitted there, both on clips from there."
)


def formulas() -> dict[str, str]:
    """Formula by the name of the measure."""
    known = {m.name: m.formula for section in SECTIONS for m in section.measures}
    return known | {"probe": PROBE_FORMULA, "other.probe": CROSS_PROBE_FORMULA}
