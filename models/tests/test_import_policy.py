"""UniVLA's released policy, on a small folder of its layout with random weights."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import vlms
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from lam_models.command import UserError
from lam_models.policy.inputs import Inputs
from lam_models.policy.opening import open_policy
from lam_models.policy.prismatic_file import read_tensors as read_release
from lam_models.policy.prismatic_file import tensor_shapes
from lam_models.policy.stepping import Stepping
from lam_models.policy.univla_policy import Config, UnivlaPolicy
from lam_models.stages import import_policy
from lam_models.types import Frame, Observation

STEPS, WIDTH, INNER = 3, 64, vlms.LLAMA["hidden_size"]
WORDS: dict[str, Any] = {
    "first_word": 30,
    "last_word": 31,
    "first_code": 20,
    "codes": 6,
    "prompt_tokens": 16,
}
LOW, HIGH = [-1.0, -2, -3, -4, -5, -6, 0], [1.0, 2, 3, 4, 5, 6, 1]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = vlms.folder("prismatic", tmp_path_factory.mktemp("univla"))
    mask = [True] * 6 + [False]
    content = {name: {"action": {"q01": LOW, "q99": HIGH, "mask": mask}} for name in ("a", "b")}
    (path / import_policy.STATISTICS).write_text(json.dumps(content))
    torch.save(released_decoder(), path / "action_decoder.pt")
    return path


def released_decoder() -> dict[str, torch.Tensor]:
    """Names and shapes of a release."""
    torch.manual_seed(1)
    made = {"proj.0.weight": (7 * STEPS, WIDTH), "proj.0.bias": (7 * STEPS,)}
    for pool in ("latent_action_pool.", "visual_pool."):
        made |= {
            pool + "latents": (1, WIDTH),
            pool + "projection.weight": (WIDTH, INNER),
            pool + "projection.bias": (WIDTH,),
            pool + "attn_norm.g": (WIDTH,),
            pool + "attn.q.weight": (WIDTH, WIDTH),
            pool + "attn.kv.weight": (2 * WIDTH, WIDTH),
            pool + "attn.proj.weight": (WIDTH, WIDTH),
            pool + "attn.proj.bias": (WIDTH,),
            pool + "mlp_norm.g": (WIDTH,),
            pool + "mlp.0.project.weight": (8 * WIDTH, WIDTH),
            pool + "mlp.0.project.bias": (8 * WIDTH,),
            pool + "mlp.1.weight": (WIDTH, 4 * WIDTH),
            pool + "mlp.1.bias": (WIDTH,),
        }
    return {name: 0.3 * torch.randn(shape) for name, shape in made.items()}


def folder(source: Path, out: Path, **changes: Any) -> Path:
    from lam_models.checkpoint import write

    hands, space = import_policy.gripper_latents("panda_gripper", "")
    config = Config(str(source), precision="float32", crop=1.0, latent_dim=hands.shape[1], **WORDS)
    ranges = import_policy.action_ranges(source, "a")
    config = Config(**(vars(config) | changes))
    decoder = source / "action_decoder.pt"
    return write(out, import_policy.imported(config, decoder, ranges, hands, space, "front"))


def opened(source: Path, out: Path, **changes: Any) -> UnivlaPolicy:
    return open_policy(folder(source, out, **changes)).policy


def observation(text: str = "push the red cube", stamp_ns: int = 0, seed: int = 0) -> Observation:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (vlms.SIDE, vlms.SIDE, 3), np.uint8)
    return Observation(stamp_ns, {"front": Frame(pixels, stamp_ns)}, {}, text)


@torch.no_grad()
def test_it_answers_as_the_released_classes_would(source: Path, tmp_path: Path):
    policy = opened(source, tmp_path / "policy")
    x = policy._observed(observation(), ())
    chunk, codes = policy.answer(x)

    # No padding, no cache, one word after the other, through the class of the language model.
    weights = dict(read_release(source, set(tensor_shapes(source))))
    prefix = "language_model."
    text = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    llama = LlamaForCausalLM(LlamaConfig(**vlms.LLAMA)).eval()
    llama.load_state_dict(text)
    words = x.words[0, :, 0]
    ids = torch.cat([torch.tensor([30]), words[words != 0] - 1])
    table = llama.get_input_embeddings()
    image = policy.vlm.see(x.pixels[:, 0].movedim(-1, 1) / 127.5 - 1)[0]
    row = torch.cat([table(ids[:1]), image, table(ids[1:])])
    said = []
    for _ in range(4):
        out = llama(inputs_embeds=row[None], output_hidden_states=True)
        said.append(out.hidden_states[-1][0])
        code = out.logits[0, -1, 20:26].argmax()
        assert code == codes[0, len(said) - 1]
        row = torch.cat([row, table(20 + code)[None]])
    actions = decoded(torch.stack([h[-1] for h in said]), said[0][: len(image)])
    ranged = 0.5 * (actions + 1) * (torch.tensor(HIGH) - torch.tensor(LOW)) + torch.tensor(LOW)
    assert torch.allclose(chunk[0, :, :3], 0.05 * ranged[:, :3], atol=1e-4)
    assert torch.allclose(chunk[0, :, 3:6], 0.5 * ranged[:, 3:6], atol=1e-4)
    hand = torch.where(actions[:, 6:] > 0.5, policy.hands[1], policy.hands[0])
    assert torch.equal(chunk[0, :, 6:], hand)


def decoded(said: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """What the released decoder computes, in plain products of its own tensors."""
    w = released_decoder()

    def norm(x: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        return x / x.square().mean(-1, keepdim=True).sqrt() * gain

    def pooled(pool: str, x: torch.Tensor, seed: Any) -> torch.Tensor:
        of = {k.removeprefix(pool): v for k, v in w.items() if k.startswith(pool)}
        x = functional.linear(x, of["projection.weight"], of["projection.bias"])
        latent = of["latents"] + seed
        keys, values = functional.linear(x, of["attn.kv.weight"]).chunk(2, -1)
        weight = (latent @ of["attn.q.weight"].T @ keys.T / WIDTH**0.5).softmax(-1)
        read = functional.linear(weight @ values, of["attn.proj.weight"], of["attn.proj.bias"])
        latent = norm(latent + read, of["attn_norm.g"])
        inner = functional.linear(latent, of["mlp.0.project.weight"], of["mlp.0.project.bias"])
        value, gate = inner.chunk(2, -1)
        more = functional.linear(
            value * functional.silu(gate), of["mlp.1.weight"], of["mlp.1.bias"]
        )
        return norm(latent + more, of["mlp_norm.g"])

    found = pooled("latent_action_pool.", said, pooled("visual_pool.", seen, 0.0))
    return functional.linear(found, w["proj.0.weight"], w["proj.0.bias"]).tanh().view(STEPS, 7)


def test_longer_padding_changes_nothing(source: Path, tmp_path: Path):
    one, other = (
        opened(source, tmp_path / str(count), prompt_tokens=count).act(observation())
        for count in (16, 20)
    )
    assert np.allclose(one.delta_ee, other.delta_ee, atol=1e-5)
    assert np.array_equal(one.hand, other.hand)


def test_fixed_buffers_change_nothing(source: Path, tmp_path: Path):
    policy = opened(source, tmp_path / "policy")
    seen = [observation(text, seed=i) for i, text in enumerate(("push", "lift", "lift"))]
    before = [policy.answer(policy._observed(x, ())) for x in seen]
    stepping = Stepping(policy, policy._observed(seen[0], ()))
    for x, (chunk, codes) in zip(seen, before, strict=True):
        again, said = stepping(policy._observed(x, ()))
        assert torch.allclose(again, chunk, atol=1e-5)
        assert said is not None and torch.equal(said, codes)


def test_codes_are_remembered_while_a_motion_goes_on(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    policy = opened(source, tmp_path / "policy", prompt_tokens=40)
    told: list[int] = []
    read = policy.read_words

    def noted(texts: Any, codes: Any = ()) -> Any:
        told.append(len(codes))
        return read(texts, codes)

    monkeypatch.setattr(policy, "read_words", noted)
    chunk = policy.act(observation(stamp_ns=10))
    assert chunk.motion_codes is not None and len(chunk.motion_codes) == 4
    policy.act(observation(stamp_ns=20))
    policy.act(observation("lift", stamp_ns=30))
    policy.act(observation("lift", stamp_ns=5_000_000_000))
    policy.act(observation("lift", stamp_ns=40))
    assert told == [0, 4, 0, 0, 0]


def test_a_crop_shows_the_middle(source: Path, tmp_path: Path):
    whole, cut = (opened(source, tmp_path / str(crop), crop=crop) for crop in (1.0, 0.25))
    images = torch.zeros(1, vlms.SIDE, vlms.SIDE, 3, dtype=torch.uint8)
    images[:, 10:22, 10:22] = 255
    assert whole._shown(images).min() == -1 and cut._shown(images)[..., 8:24, 8:24].min() == 1
    border = images.clone()
    border[:, :4], border[:, -4:] = 255, 255
    assert torch.equal(cut._shown(border), cut._shown(images))
    assert not torch.equal(whole._shown(border), whole._shown(images))


def test_an_open_hand_is_wider_than_a_closed_one():
    from lam_models.hands.space import open_space

    for hand in ("panda_gripper", "robotiq_2f85"):
        hands, space = import_policy.gripper_latents(hand, "")
        coder = open_space().coders["panda_gripper"]
        closed, wide = coder.decode(hands)[:, 0]
        assert closed < wide and hands.shape == (2, space.shape[1])
    with pytest.raises(UserError, match="no gripper"):
        import_policy.gripper_latents("allegro", "")


def test_the_command_writes_a_folder(source: Path, tmp_path: Path):
    parser = ArgumentParser()
    import_policy.add_arguments(parser)
    words = [str(source), "--decoder", str(source / "action_decoder.pt"), "--out"]
    with pytest.raises(UserError, match="no rows 32001"):
        import_policy.run(parser.parse_args([*words, str(tmp_path / "x"), "--statistics", "a"]))
    with pytest.raises(UserError, match="which of a, b"):
        import_policy.run(parser.parse_args([*words, str(tmp_path / "x")]))
    with pytest.raises(UserError, match="statistics"):
        import_policy.run(parser.parse_args([*words, str(tmp_path / "x"), "--statistics", "c"]))


def test_a_decoder_that_does_not_fit_is_refused(source: Path, tmp_path: Path):
    tensors = released_decoder()
    config = Config(str(source), width=WIDTH, steps=STEPS)
    fits = import_policy.renamed(tensors, tmp_path)
    import_policy.check_decoder(fits, INNER, config, tmp_path)
    with pytest.raises(UserError, match=r"projection.weight .* for"):
        import_policy.check_decoder(fits, 2 * INNER, config, tmp_path)
    wrapped = {f"net.{name}": value for name, value in tensors.items()}
    assert import_policy.renamed(wrapped, tmp_path).keys() == fits.keys()
    tensors["visual_pool.more"] = torch.ones(1)
    with pytest.raises(UserError, match=r"visual_pool\.more"):
        extra = import_policy.renamed(tensors, tmp_path)
        import_policy.check_decoder(extra, INNER, config, tmp_path)
    with pytest.raises(UserError, match="no action decoder"):
        import_policy.renamed({"other": torch.ones(1)}, tmp_path)


def test_instructions_that_are_too_long_and_missing_cameras_are_named(source: Path, tmp_path: Path):
    policy = opened(source, tmp_path / "policy")
    with pytest.raises(UserError, match="tokens, of 16 at most"):
        policy.act(observation("push the red cube into the open drawer left"))
    with pytest.raises(UserError, match="camera"):
        policy.act(Observation(0, {}, {}, "push"))
    assert isinstance(policy._observed(observation(), ()), Inputs)
