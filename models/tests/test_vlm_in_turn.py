"""Laws of motion codes said one after the other, and of steps with fixed buffers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import vlms

from lam_models.checkpoint import Spec
from lam_models.command import UserError
from lam_models.policy.inputs import Examples, Inputs
from lam_models.policy.slot_config import Config
from lam_models.policy.slot_policy import SlotPolicy
from lam_models.policy.stepping import Stepping
from lam_models.policy.vlm_choice import Vlm
from lam_models.stages.fit_policy import policy_spec
from lam_models.types import Frame, LatentSpec, Observation

ROWS, TOKENS, CODES = 2, 4, 8
SPACE = LatentSpec("hands", "hand", (1, Config.tiny().latent_dim))
KINDS = ("llava", "qwen2_5_vl", "paligemma")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: vlms.folder(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


def made(folder: Path, in_turn: bool = True, **changes: Any) -> SlotPolicy:
    torch.manual_seed(0)
    vlm = Vlm(str(folder), prompt_tokens=12, lora_rank=0, codes_in_turn=in_turn)
    sizes = {"motion_tokens": TOKENS, "motion_codes": CODES, "vlm": vlm}
    return SlotPolicy(replace(Config.tiny(), **(sizes | changes))).eval()


def inputs(policy: SlotPolicy, rows: int = ROWS, seed: int = 0) -> Inputs:
    random = torch.Generator().manual_seed(seed)
    shape = (rows, 2, vlms.SIDE, vlms.SIDE, 3)
    texts = ["push the red cube", "lift", "open the drawer"][seed : seed + rows]
    return Inputs(
        pixels=torch.randint(0, 256, shape, generator=random, dtype=torch.uint8),
        state=torch.randn(rows, 9, generator=random),
        words=torch.from_numpy(policy.backbone.read_words(texts)),
        delay=torch.zeros(rows),
    )


def examples(x: Inputs, codes: torch.Tensor) -> Examples:
    return Examples(**x.tensors(), codes=codes)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_codes_said_in_turn_are_those_of_one_pass_that_is_told_them(
    kind: str, folders: dict[str, Path]
):
    policy = made(folders[kind])
    x = inputs(policy)
    said = policy._slots(x)
    codes = policy.motion(said[:, :TOKENS]).argmax(-1)
    assert torch.allclose(policy._slots(examples(x, codes)), said, atol=1e-5)
    # Of rows without codes, their own.
    half = policy._slots(examples(x, codes[1:]))
    assert torch.allclose(half, said, atol=1e-5)


@torch.no_grad()
def test_a_code_is_known_to_those_after_it_and_to_the_actions_only(folders: dict[str, Path]):
    policy = made(folders["llava"])
    x = inputs(policy)
    codes = torch.zeros(ROWS, TOKENS, dtype=torch.long)
    before = policy._slots(examples(x, codes))
    for changed in range(TOKENS):
        other = codes.clone()
        other[:, changed] = 1
        moved = (policy._slots(examples(x, other)) - before).abs().amax(dim=(0, 2)) > 1e-6
        # The last code is read with the actions, which know its scores but not the choice.
        told = torch.arange(len(moved)) > changed
        assert torch.equal(moved, told if changed < TOKENS - 1 else torch.zeros_like(told))


def test_what_is_said_in_turn_can_depend_on_what_was_said_before(folders: dict[str, Path]):
    # One instruction and picture, two equally likely words: only in turn do they stay whole.
    x = inputs(made(folders["llava"]), rows=1)
    twice = {name: value.expand(2, *value.shape[1:]) for name, value in x.tensors().items()}
    x = Inputs(**twice)
    codes = torch.tensor([[0, 0, 0, 0], [5, 5, 5, 5]])
    missed = {}
    for in_turn in (True, False):
        policy = made(folders["llava"], in_turn).train()
        optimiser = torch.optim.AdamW(policy.parameters(), 3e-3)
        last = 0.0
        for _ in range(60):
            optimiser.zero_grad()
            loss, _ = policy.loss(examples(x, codes))
            loss.backward()
            optimiser.step()
            last = loss.item()
        missed[in_turn] = last
    least = torch.log(torch.tensor(2.0)).item()
    # The first code is a guess either way; all others follow from it, or are guesses too.
    assert missed[True] < 0.5 * least < 0.9 * least < missed[False]


def test_codes_in_turn_need_codes(folders: dict[str, Path]):
    with pytest.raises(UserError, match="codes_in_turn"):
        made(folders["llava"], motion_tokens=0)


@pytest.mark.parametrize("in_turn", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_with_fixed_buffers_answer_as_without(
    kind: str, in_turn: bool, folders: dict[str, Path]
):
    policy = made(folders[kind], in_turn)
    stepping = Stepping(policy, inputs(policy, rows=1))
    places = [x.data_ptr() for x in stepping._inputs.tensors().values()]
    for seed in (0, 1, 1, 2, 0):
        x = inputs(policy, rows=1, seed=seed)
        chunk, codes = stepping(x)
        own, own_codes = policy.answer(x)
        assert torch.allclose(chunk, own, atol=1e-5)
        assert codes is not None and own_codes is not None and torch.equal(codes, own_codes)
    assert places == [x.data_ptr() for x in stepping._inputs.tensors().values()]


def test_instructions_are_read_when_they_change_only(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
):
    policy = made(folders["llava"])
    read = []
    ahead = policy.backbone.read_ahead
    monkeypatch.setattr(policy.backbone, "read_ahead", lambda x: (read.append(1), ahead(x))[1])
    stepping = Stepping(policy, inputs(policy, rows=1))
    for seed, times in ((0, 1), (0, 1), (1, 2), (1, 2), (0, 3)):
        stepping(inputs(policy, rows=1, seed=seed))
        assert len(read) == times


@pytest.mark.parametrize("in_turn", [True, False])
def test_a_prepared_policy_acts_as_before(in_turn: bool, folders: dict[str, Path]):
    policy = made(folders["llava"], in_turn)
    policy._spec = policy_spec(policy.config, [SPACE], has_state=True)
    seen = [observation(policy._spec, text, seed) for seed, text in enumerate(("push", "lift"))]
    before = [policy.act(x) for x in seen]
    policy.prepare(seen[0])
    for x, chunk in zip(seen, before, strict=True):
        again = policy.act(x)
        assert np.allclose(again.delta_ee, chunk.delta_ee, atol=1e-5)
        assert again.motion_codes is not None and chunk.motion_codes is not None
        assert (again.motion_codes == chunk.motion_codes).all()


def observation(spec: Spec, text: str, seed: int) -> Observation:
    random = np.random.default_rng(seed)
    frames = {
        c.name: Frame(random.integers(0, 256, (c.height, c.width, 3), np.uint8), 0)
        for c in spec.cameras
    }
    return Observation(0, frames, {"ee": random.normal(size=6)}, text)


def test_results_are_nobodys_buffers(folders: dict[str, Path]):
    policy = made(folders["llava"])
    stepping = Stepping(policy, inputs(policy, rows=1))
    first, _ = stepping(inputs(policy, rows=1))
    kept = first.clone()
    stepping(inputs(policy, rows=1, seed=1))
    assert torch.equal(first, kept)


def test_other_shapes_and_graphs_without_a_gpu_are_refused(folders: dict[str, Path]):
    policy = made(folders["llava"])
    stepping = Stepping(policy, inputs(policy, rows=1))
    with pytest.raises(ValueError, match="shape"):
        stepping(inputs(policy, rows=2))
    if not next(policy.parameters()).is_cuda:
        with pytest.raises(UserError, match="GPU"):
            Stepping(policy, inputs(policy, rows=1), "graph")
