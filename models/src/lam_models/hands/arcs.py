"""Numbers between -1 and 1 as points of circles' arcs: coders of a space that nobody trained.

All circles together are a point of the sphere, as latents of hands are. The networks are piecewise
linear, close enough to sine, cosine and arcsine.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from lam_models.hands.space import Layers

# Half of the arc: wide enough to be told apart, narrow enough for the arcsine to stay gentle.
_ARC_RAD = np.pi / 3
_KNOTS = 33

Values = Float[np.ndarray, " n"]


def onto_arcs(mix: Float[np.ndarray, "values inputs"], offset: Values) -> Layers:
    """An encoder: `mix @ inputs + offset`, each as sine and cosine."""
    functions = (lambda q: np.sin(_ARC_RAD * q), lambda q: np.cos(_ARC_RAD * q))
    return _bent(mix, offset, 1.0, functions)


def off_arcs(mix: Float[np.ndarray, "outputs values"]) -> Layers:
    """The decoder of the same values, of which every output is a mixture."""
    values = mix.shape[1]
    # An arc's point has length 1, that of all together sqrt(values): the encoder's own
    # normalisation makes up for it, the decoder must know.
    length = float(np.sqrt(values))
    sines = np.zeros((values, 2 * values))
    sines[np.arange(values), 2 * np.arange(values)] = 1.0
    reach = float(np.sin(_ARC_RAD)) / length

    def back(sine: Values) -> Values:
        return np.arcsin(length * sine) / _ARC_RAD

    first, (last, start) = _bent(sines, np.zeros(values), reach, (back,))
    return first, ((mix @ last).astype(np.float32), (mix @ start).astype(np.float32))


def _bent(
    mix: Float[np.ndarray, "values inputs"],
    offset: Values,
    reach: float,
    functions: tuple[Callable[[Values], Values], ...],
) -> Layers:
    """Two layers that apply the functions to each value, which lies within ±reach."""
    knots = np.linspace(-reach, reach, _KNOTS)
    last = np.zeros((len(mix) * len(functions), len(mix) * _KNOTS))
    start = np.zeros(len(last))
    for row in range(len(last)):
        value, function = divmod(row, len(functions))
        heights = functions[function](knots)
        slopes = np.diff(heights) / np.diff(knots)
        # The first unit is always on within the range: it carries the first slope.
        bends = np.concatenate([[slopes[0]], np.diff(slopes), [0.0]])
        last[row, value * _KNOTS : (value + 1) * _KNOTS] = bends
        start[row] = heights[0]
    first = np.repeat(mix, _KNOTS, axis=0)
    bias = np.repeat(offset, _KNOTS) - np.tile(knots, len(mix))
    return (
        (first.astype(np.float32), bias.astype(np.float32)),
        (last.astype(np.float32), start.astype(np.float32)),
    )
