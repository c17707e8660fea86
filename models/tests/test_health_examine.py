"""The health report on systems of known illnesses, and what it says of them."""

from __future__ import annotations

import functools

import pytest
from health_toys import NAMES, Codes, Compressor, Constant, Oracle, Placed, clips, system

from lam_models.stages.health.examine import Report, examine
from lam_models.stages.health.words import illnesses


@functools.cache
def report(kind: type[Oracle]) -> Report:
    time = 7 if kind is Codes else 3
    return examine(
        system(kind),
        clips(1, time=time),
        clips(2, count=120, time=time),
        other=(clips(3, time=time, reach=0.5), clips(4, count=120, time=time, reach=0.5)),
        names=NAMES,
    )


def names_of(kind: type[Oracle]) -> dict[str, str]:
    return {illness.name: illness.severity for illness in illnesses(report(kind))}


def test_a_latent_that_is_the_action_is_healthy() -> None:
    n = report(Oracle).flat()
    assert n["probe.linear.translation"] < 0.01 and n["probe.mlp.translation"] < 0.05
    assert n["leak.state"] > 0.9 and n["leak.distractors"] > 0.9
    assert n["leak.objects"] < 0.1, "the cube goes with the action"
    assert n["prediction.copy_ratio"] < 0.2 and n["prediction.delta_psnr_db"] > 3
    assert n["prediction.unpaired_ratio"] > 0.5 and n["prediction.psnr_db"] > 10
    assert n["algebra.additivity"] < 0.05 and n["algebra.reversibility"] < 0.05
    assert n["transfer.migration"] < 0.5 < 1 < n["transfer.migration_random"]
    assert n["transfer.cycle"] < 0.2 and n["transfer.retrieval_top1"] > 0.9
    assert not {"collapse", "copying", "latent ignored", "state leak"} & names_of(Oracle).keys()


def test_groups_that_never_move_are_left_out_and_named() -> None:
    assert not [name for name in report(Oracle).values if name.endswith(".rotation")]
    assert any("'rotation'" in note for note in report(Oracle).notes)


def test_untrained_frames_are_reported_beside_the_latent() -> None:
    n = report(Oracle).flat()
    assert n["probe.linear.all"] < n["probe.linear_frames.all"] < 1
    assert n["ambiguous.linear"] < 0.01
    assert n["ambiguous.linear_frames"] > n["probe.linear_frames.all"]


def test_another_meaning_in_the_other_dataset_is_seen() -> None:
    """Half the move for the same action: probes from here are off there, those from there not."""
    n = report(Oracle).flat()
    assert n["other.probe_own.translation"] < 0.05 < n["other.probe.translation"]
    assert "another meaning elsewhere (translation)" in names_of(Oracle)
    assert n["other.cycle"] < 0.3 and n["other.migration_own"] < n["other.migration"]


def test_a_constant_latent_is_collapsed_and_copies() -> None:
    n, found = report(Constant).flat(), names_of(Constant)
    assert found["collapse"] == found["copying"] == found["latent ignored"] == "ill"
    assert found["no action in the latent"] == "ill" and "constant codes" in found
    assert n["probe.linear.all"] == pytest.approx(1, abs=0.05)
    assert n["codebook.used_share"] == 0.25 and n["codebook.sequence_perplexity"] == 1
    assert n["prediction.copy_ratio"] == pytest.approx(1)
    assert report(Constant).values["transfer.cycle"] is None
    assert "image compression, not action" not in found


def test_a_latent_that_holds_the_next_image_is_called_so() -> None:
    n, found = report(Compressor).flat(), names_of(Compressor)
    assert found["image compression, not action"] == "ill"
    assert n["prediction.copy_ratio"] < 1, "which the copy ratio does not see"
    assert n["transfer.migration"] > 1 > n["transfer.migration_own"]
    assert any(name.startswith("bound to its scene") for name in found)


def test_a_system_that_predicts_features_is_measured_in_them() -> None:
    n, r = report(Placed).flat(), report(Placed)
    assert r.space["predicts"] == "features" and "prediction.psnr_db" not in n
    assert n["prediction.copy_ratio"] < 0.01 and n["transfer.migration"] < 0.1
    assert r.values["transfer.cycle"] is None and any("cycle" in note for note in r.notes)


def test_codes_and_history_are_read_at_the_present_frame() -> None:
    n = report(Codes).flat()
    assert n["codebook.used_share"] == 1 and n["codebook.perplexity"] > 4
    assert n["probe.linear_unquantised.translation"] < 0.02
    assert n["probe.linear.translation"] < 0.05 and n["prediction.copy_ratio"] < 0.5
    assert "collapse" not in names_of(Codes)


def test_the_same_seed_says_the_same() -> None:
    again = examine(system(Oracle), clips(1), clips(2, count=120), names=NAMES)
    first = report(Oracle).flat()
    assert all(value == first[name] for name, value in again.flat().items())


def test_without_actions_or_states_the_rest_is_measured() -> None:
    import dataclasses

    def bare(seed: int):
        return dataclasses.replace(clips(seed), actions=None, states=None, environments=None)

    r = examine(system(Oracle), bare(1), bare(2))
    assert "prediction.copy_ratio" in r.flat() and not any("probe" in name for name in r.flat())
    assert any("no actions" in note for note in r.notes)
