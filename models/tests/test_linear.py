"""Laws of the linear latent-action model, most of them exact on the population's sigma points."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load, save

from lam_models.command import UserError
from lam_models.stages.linear_content import measure
from lam_models.systems import SYSTEMS, find
from lam_models.systems.linear import (
    Config,
    Convention,
    LinearLam,
    closed_form,
    descend,
    transitions,
)
from lam_models.systems.linear_world import LinearWorld
from lam_models.systems.roles import ClipBatch, Decoder, Labeler, Trainable

WORLD = LinearWorld(observation_dim=32, action_dim=4)
FREE = Config(
    observation_dim=32, latent_dim=4, action_dim=4, augmentation_std=0.0, learning_rate=5e-3
)
TIED = replace(FREE, tied=True)
AGENTS = replace(WORLD, others_dim=4)


def solved(world: LinearWorld, config: Config, action_weight: float = 0.0) -> LinearLam:
    return closed_form(config, world.sigma_points().clips(), action_weight)


def content(model: LinearLam, world: LinearWorld, convention: Convention = "tied"):
    points = world.sigma_points()
    return measure(model, points, points, convention)


def hide_observation(model: LinearLam, scale: float) -> LinearLam:
    """The same predictions from a latent to which a linear function of o was added."""
    torch.manual_seed(3)
    added = scale * torch.randn_like(model.C.weight)
    with torch.no_grad():
        model.C.weight += added
        model.A.weight -= model.B.weight @ added
    return model


def population_loss(model: LinearLam, world: LinearWorld) -> float:
    loss, _ = model.loss(replace(world.sigma_points().clips(), actions=None))
    return loss.item()


def steepest(model: LinearLam, clips: ClipBatch) -> float:
    model.loss(clips)[0].backward()
    return max(p.grad.abs().max().item() for p in model.parameters() if p.grad is not None)


# The world


@pytest.mark.parametrize(
    "world",
    [
        WORLD,
        replace(WORLD, noise_std=0.5, noise_mean=0.3),
        replace(AGENTS, others_std=2.0),
        replace(WORLD, policy_share=0.7),
    ],
)
def test_sigma_points_have_the_moments_of_samples(world: LinearWorld) -> None:
    points, samples = world.sigma_points(), world.sample(40_000, torch.Generator().manual_seed(0))
    for name in ("next_observation", "action", "disturbance"):
        exact, drawn = getattr(points, name), getattr(samples, name).double()
        assert torch.allclose(exact.mean(0), drawn.mean(0), atol=0.06)
        assert torch.allclose(exact.T.cov(correction=0), drawn.T.cov(correction=0), atol=0.1)


def test_the_next_observation_is_the_sum_that_the_world_states() -> None:
    world = replace(AGENTS, others_std=0.5, noise_std=0.2)
    steps = world.sample(64, torch.Generator().manual_seed(1))
    effect, _, _ = (part.float() for part in world.maps)
    change = steps.action @ effect.T
    assert torch.allclose(
        steps.undisturbed().next_observation, steps.observation + change, atol=1e-5
    )
    assert torch.allclose(effect.T @ effect, torch.eye(4), atol=1e-5)
    assert steps.exogenous.shape == (64, 32 + 4)


# The optimum


def test_the_closed_form_is_the_principal_component_analysis_of_the_change() -> None:
    world = replace(WORLD, noise_std=0.4)
    steps = world.sigma_points()
    change = steps.next_observation - steps.observation
    principal = torch.linalg.svd(change, full_matrices=False).Vh[:4]
    for config in (FREE, TIED):
        model = solved(world, config)
        z = model.infer(steps.observation, steps.next_observation)
        rebuilt = model.predict(steps.observation, z) - steps.observation
        assert torch.allclose(rebuilt, change @ principal.T @ principal, atol=1e-9)


@pytest.mark.parametrize("config", [FREE, TIED])
def test_the_gradient_vanishes_at_the_closed_form(config: Config) -> None:
    """On samples, where everything is correlated with the observation by chance."""
    clips = replace(AGENTS, others_std=1.5).sample(400, torch.Generator().manual_seed(0)).clips()
    clips = ClipBatch(clips.frames.double())
    assert steepest(closed_form(config, clips), clips) < 1e-9


@pytest.mark.parametrize("config", [FREE, TIED])
def test_with_labels_it_vanishes_where_the_observation_tells_nothing_of_the_action(
    config: Config,
) -> None:
    config = replace(config, action_weight=0.3)
    clips = replace(AGENTS, others_std=1.5).sigma_points().clips()
    assert steepest(closed_form(config, clips, config.action_weight), clips) < 1e-9


def test_no_descent_ends_below_the_closed_form_and_a_long_one_reaches_it() -> None:
    world = replace(WORLD, noise_std=0.3)
    torch.manual_seed(0)
    model = descend(LinearLam(TIED), world.batches(128, 600, seed=1))
    best, reached = (
        population_loss(solved(world, TIED), world),
        population_loss(model.double(), world),
    )
    assert best < reached < 1.03 * best


def test_descent_and_closed_form_agree_on_what_the_latent_holds() -> None:
    world = replace(AGENTS, others_std=0.5)
    torch.manual_seed(0)
    trained = content(descend(LinearLam(TIED), world.batches(128, 400, seed=1)), world)
    exact = content(solved(world, TIED), world)
    assert trained.objective == pytest.approx(exact.objective, abs=0.02)


@pytest.mark.parametrize("latent_dim", [1, 2, 3, 4, 6])
def test_without_noise_the_objective_grows_by_one_share_a_dimension(latent_dim: int) -> None:
    model = solved(WORLD, replace(TIED, latent_dim=latent_dim))
    expected = 2 - max(0.0, 1 - latent_dim / 4)
    assert content(model, WORLD).objective == pytest.approx(expected, abs=1e-6)


def test_iid_noise_shrinks_the_probe_by_the_signal_to_noise_ratio() -> None:
    sigma = 0.8
    world = replace(WORLD, noise_std=sigma)
    points = world.sigma_points()
    blurred = sigma**2 / (1 + sigma**2)
    model = solved(world, TIED)
    assert measure(model, points, points, "tied").action == pytest.approx(blurred, abs=1e-5)
    shown_without = measure(model, points, points.undisturbed(), "tied")
    assert shown_without.action == pytest.approx(blurred**2, abs=1e-5)


def test_the_latent_holds_whoever_moves_most() -> None:
    quiet, loud = (replace(AGENTS, others_std=s) for s in (0.5, 2.0))
    in_quiet, in_loud = (content(solved(w, TIED), w) for w in (quiet, loud))
    assert in_quiet.action < 0.2 < 0.8 < in_quiet.exogenous
    assert in_loud.exogenous < 0.2 < 0.8 < in_loud.action


# Labels and augmentation


def test_labels_turn_the_latent_to_the_action_once_they_outbid_the_other_agents() -> None:
    """A direction of the action is then worth 1 + weight · d_o / d_a, one of the agents σ² = 4."""
    loud = replace(AGENTS, others_std=2.0)
    underbid, outbid = (content(solved(loud, TIED, w), loud).objective for w in (0.2, 1.0))
    assert underbid < 0.6 < 1.9 < outbid < 2


def test_a_few_labels_do_so_in_training_too() -> None:
    loud = replace(AGENTS, others_std=2.0)
    config = replace(FREE, augmentation_std=0.3, learning_rate=1e-2)
    objectives = []
    for share in (0.0, 0.05):
        torch.manual_seed(0)
        model = descend(LinearLam(config), loud.batches(128, 400, seed=2, label_share=share))
        objectives.append(content(model, loud).objective)
    assert objectives[1] > objectives[0] + 1


def test_unlabelled_actions_are_not_looked_at() -> None:
    clips = WORLD.sample(8, torch.Generator().manual_seed(0)).clips(torch.arange(8) < 3)
    assert clips.actions is not None
    other = clips.actions.clone()
    other[3:] = 1e3
    model = LinearLam(FREE)
    hidden = replace(clips, actions=other)
    assert torch.equal(model.loss(clips)[0], model.loss(hidden)[0])


def test_augmentation_alone_tells_a_latent_with_the_observation_from_one_without() -> None:
    config = replace(FREE, augmentation_std=0.3)
    clean, leaky = (hide_observation(solved(WORLD, config), scale) for scale in (0.0, 1.0))
    assert population_loss(leaky, WORLD) == pytest.approx(population_loss(clean, WORLD), abs=1e-9)
    clips = WORLD.sigma_points().clips()
    augmented = [model.train().loss(clips)[1]["reconstruction"] for model in (clean, leaky)]
    assert augmented[1] > augmented[0] + 0.01


# The probe conventions


def test_conventions_rank_by_how_much_of_the_observation_they_admit() -> None:
    leaky = hide_observation(solved(WORLD, FREE), 10.0)
    raw, action, latent = (
        content(leaky, WORLD, name).objective for name in ("raw", "pseudo_action", "pseudo_latent")
    )
    assert raw < 1.1
    assert action == pytest.approx(2 - 4 / 32, abs=0.01)
    assert latent == pytest.approx(2, abs=1e-5)
    assert content(solved(WORLD, TIED), WORLD, "tied").objective == pytest.approx(latent, abs=1e-5)


def test_a_free_model_is_not_probed_as_a_tied_one() -> None:
    with pytest.raises(ValueError, match="free model"):
        content(solved(WORLD, FREE), WORLD, "tied")


# The system


def test_the_registry_finds_it_and_names_the_nearest_of_an_unknown() -> None:
    assert find("linear") is LinearLam
    assert all(find(name) for name in SYSTEMS)
    with pytest.raises(UserError, match=r"'linaer'\. Did you mean 'linear'"):
        find("linaer")


def test_it_has_the_roles_of_a_video_system() -> None:
    model = LinearLam(Config.tiny())
    assert (
        isinstance(model, Trainable) and isinstance(model, Labeler) and isinstance(model, Decoder)
    )


def test_small_images_and_long_clips_are_vectors_and_pairs() -> None:
    config = replace(Config.tiny(), observation_dim=3 * 4 * 4)
    model = LinearLam(config).eval()
    clips = ClipBatch(torch.rand(5, 4, 3, 4, 4), torch.rand(5, 3, 2))
    z = model.encode(clips).values
    assert z.shape == (5, 3, *model.spec().shape)
    first_pair = ClipBatch(clips.frames[:, :2])
    assert torch.allclose(model.encode(first_pair).values, z[:, :1], atol=1e-6)
    o, o_next = transitions(clips)
    assert torch.equal(o[1], clips.frames[0, 1].flatten())
    assert torch.equal(o_next[0], o[1])
    assert model.decode(z[:, 0], clips.frames[:, :1]).shape == (5, 3, 4, 4)
    loss, logged = model.loss(clips)
    assert loss.isfinite() and logged.keys() == {"reconstruction", "action"}


def test_a_saved_model_is_the_same_model_and_the_same_space() -> None:
    torch.manual_seed(0)
    model, twin = LinearLam(Config.tiny()).eval(), LinearLam(Config.tiny()).eval()
    assert twin.spec() != model.spec()
    twin.load_state_dict(load(save(model.state_dict())))
    clips = ClipBatch(torch.rand(3, 2, 16))
    assert torch.equal(twin.encode(clips).values, model.encode(clips).values)
    assert twin.spec().space_hash == model.spec().space_hash


def test_the_space_is_named_by_the_encoder_alone() -> None:
    model = LinearLam(Config.tiny())
    before = model.spec()
    with torch.no_grad():
        model.B.weight += 1
    assert model.spec() == before
    with torch.no_grad():
        model.C.weight += 1
    assert model.spec() != before


def test_measuring_leaves_the_model_as_it_was() -> None:
    model = LinearLam(TIED)
    content(model, WORLD)
    assert model.A.weight.dtype == torch.float32
