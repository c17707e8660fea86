"""Where the hand goes: cells of a calibrated camera's picture vote for places on the table.

Papers: Zeng et al. 2020, Transporter (arXiv 2010.14406), and Shridhar et al. 2021, CLIPort
(2109.12098): what to do is asked of every place of a picture, so that what is learnt at one place
holds at all others. James and Davison 2022, Q-attention (2105.14829): the moments at which the hand
arrives and closes are what a demonstration is about. Bishop 1994: a mixture of densities, where a
regression would give the mean of several answers.

Each cell's vote is a point near it, which the calibration takes to the table: a network need not
learn from a few demonstrations how a camera looks at a table, only what the words speak of. How the
hand stands there is read by a closer look (close_look.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from lam_models.nn.conv import normed
from lam_models.policy.close_look import CloseLook, TableView
from lam_models.policy.inputs import BUCKETS
from lam_models.policy.together import SPREAD_M, Together, best_cells
from lam_models.policy.views import Undo, moved
from lam_models.sense.pinhole import Pinhole

# Where the hand arrives first, and where it lets go or ends.
PLACES = 2
_ROUGHLY_M = 0.008  # Of votes from what they are for, along each axis.
UNIT_M = 0.05
_CHANNELS = (32, 48, 64)
_WORD_WIDTH, _AROUND = 64, 32
_FARTHEST_CELLS = 2.0  # From a cell to what it votes for, and twice as far along a line.
_FINE = 144  # From this side on, in pixels, cells are of 8 pixels, else of 4.
_NEVER = -20.0  # A logit.
# Of the words that are left, where a shape is to be learnt though a colour would do; their weight.
_HINT, _HINT_WEIGHT = 0.5, 0.3

Poses = Float[Tensor, "batch places 9"]
Known = Bool[Tensor, "batch places"]


@dataclass(frozen=True)
class Votes:
    """chances: logarithms over the cells. spots_m: x, y in the base frame that a cell is for.

    pictures: as they came. said: of the instruction. together: logits of that the places are one.
    hinted: chances of cells where a few words of the instruction are all there is, in training.
    """

    chances: Float[Tensor, "batch places cells"]
    spots_m: Float[Tensor, "batch places cells 2"]
    pictures: Float[Tensor, "batch 3 side side"]
    said: Float[Tensor, "batch words"]
    together: Float[Tensor, " batch"]
    hinted: Float[Tensor, "batch places cells"] | None = None


class Places(nn.Module):
    """One camera's picture and an instruction to PLACES poses of the end effector.

    fine_channels: of the edges that are seen first, where the picture is large enough for them.
    reach_m: least x and y, greatest x and y in the base frame of where the hand goes; votes for
        elsewhere do not count. (): all count.
    """

    bounds_m: Tensor

    def __init__(
        self,
        pinhole: Pinhole,
        image_size: int,
        fine_channels: int = 16,
        reach_m: tuple[float, ...] = (),
    ) -> None:
        super().__init__()
        bounds = torch.tensor(reach_m or (-torch.inf, -torch.inf, torch.inf, torch.inf))
        self.register_buffer("bounds_m", bounds.view(2, 2), persistent=False)
        first, second, last = _CHANNELS
        # A cell sees a quarter of the picture's side: with more, scenes are learnt by heart.
        # Normalised over a batch: most of a picture is table, and things are what differs from it.
        self.see = nn.Sequential(
            First(first, fine_channels if image_size >= _FINE else 0),
            *normed(first, second, 3, 2),
            *normed(second, last, 3),
            *normed(last, last, 3),
        )
        # A plain sum of words: anything deeper learns scenes by heart.
        self.words = nn.Embedding(BUCKETS + 1, _WORD_WIDTH, padding_idx=0)
        nn.init.normal_(self.words.weight, std=0.02)
        self.divides = nn.Embedding(BUCKETS + 1, 1, padding_idx=0)
        nn.init.zeros_(self.divides.weight)
        self.norm = nn.LayerNorm(_WORD_WIDTH)
        # What a word looks like is the same at every place, and is learnt of all of them.
        self.keys = nn.Conv2d(last, last, 1)
        self.asked = nn.Linear(_WORD_WIDTH, last)
        self.own = nn.Conv2d(last, PLACES, 1)
        self.around = nn.Sequential(
            nn.Conv2d(last, _AROUND, 3, padding=2, dilation=2),
            nn.ReLU(),
            nn.Conv2d(_AROUND, _AROUND, 3, padding=4, dilation=4),
        )
        self.meant = nn.Linear(_WORD_WIDTH, 2 * _AROUND)
        self.aside = nn.Conv2d(_AROUND, 2 * PLACES, 1)
        self.along = nn.Conv2d(_AROUND, PLACES, 1)
        for parameter in self.along.parameters():
            nn.init.zeros_(parameter)
        self.view = TableView(pinhole)
        self.look = CloseLook(self.view, PLACES, _WORD_WIDTH)
        self.together = Together()

    def forward(
        self,
        pictures: Float[Tensor, "batch 3 side side"],
        words: Int64[Tensor, "batch words hashes"],
    ) -> Votes:
        """pictures: from 0 to 1. In training votes are for ones turned, grown and shifted anew."""
        shown, undo = moved(pictures) if self.training else (pictures, None)
        shown = (shown - 0.57).mul_(4.0).contiguous(memory_format=torch.channels_last)
        seen = self.see(shown)
        named = self._named(words)
        said = named.mean(1)
        keys = self.keys(seen).flatten(2)
        own = self.own(seen).flatten(2)
        chances = own + self._matches(keys, named)
        # What is around a cell moves its vote only.
        scale, shift = self.meant(said)[:, :, None, None].chunk(2, dim=1)
        around = (self.around(seen) * (1.0 + scale) + shift).relu()
        aside, along = self.aside(around).float(), self.along(around).float()
        spots_m = self._spots(aside, along, chances.argmax(-1), undo)
        beyond = self._beyond(spots_m)
        hinted = None
        if self.training:
            some = words * (torch.rand_like(words[..., :1], dtype=own.dtype) < _HINT)
            guessed = own + self._matches(keys, self._named(some))
            hinted = (guessed.float() + beyond).log_softmax(-1)
        return Votes(
            chances=(chances.float() + beyond).log_softmax(-1),
            spots_m=spots_m,
            pictures=pictures,
            said=said,
            together=self.together(words),
            hinted=hinted,
        )

    def _matches(
        self,
        keys: Float[Tensor, "batch channels cells"],
        named: Float[Tensor, "batch places width"],
    ) -> Float[Tensor, "batch places cells"]:
        return self.asked(named) @ keys

    def _named(
        self, words: Int64[Tensor, "batch words hashes"]
    ) -> Float[Tensor, "batch places width"]:
        """What the instruction says of each place.

        What is named before words such as "on" or "into" is where the hand goes first, what is
        named behind them is where it ends. How far a word divides the one from the other is learnt.
        """
        divides = functional.softplus(4.0 * self.divides(words).sum((2, 3)) - 1.5)
        divides = divides * (words[..., 0] != 0)
        before = divides.cumsum(1) - divides
        behind = divides.sum(1, keepdim=True) - before - divides
        shares = (-torch.stack([before, behind], dim=1)).exp()
        return self.norm(shares @ self.words(words).sum(2))

    def _spots(
        self,
        aside: Float[Tensor, "batch twice rows columns"],
        along: Float[Tensor, "batch places rows columns"],
        best: Int64[Tensor, "batch places"],
        undo: Undo | None,
    ) -> Float[Tensor, "batch places cells 2"]:
        side = aside.shape[-1]
        middles = (torch.arange(side, device=aside.device) + 0.5) * (2.0 / side) - 1.0
        cells = torch.cartesian_prod(middles, middles).flip(-1)
        aside = aside.flatten(2).unflatten(1, (PLACES, 2)).mT
        farthest = _FARTHEST_CELLS * 2.0 / side
        spots = cells + aside.tanh() * farthest
        # A thing is pushed from where its goal is not: on the line that leads to the other place.
        other = spots.take_along_dim(best[..., None, None], 2).flip(1)
        way = functional.normalize(other - spots, dim=-1, eps=0.1)
        spots = spots + along.flatten(2).tanh()[..., None] * way * (2.0 * farthest)
        if undo is not None:
            with torch.autocast(spots.device.type, enabled=False):
                spots = spots @ undo[0].mT[:, None] + undo[1][:, None, None]
        return self.view.on_table(spots)

    def _beyond(
        self, spots_m: Float[Tensor, "batch places cells 2"]
    ) -> Float[Tensor, "batch places cells"]:
        """What is added to the chances of where the hand never goes."""
        least, greatest = self.bounds_m.unbind()
        return _NEVER * ((spots_m < least) | (spots_m > greatest)).any(-1)

    def loss(self, votes: Votes, wanted: Poses, known: Known) -> Float[Tensor, ""]:
        """Of the known ones: of the votes the negative log likelihood, of the look the error.

        And what the words miss of the places' being one.
        """
        missed_m = (votes.spots_m - wanted[:, :, None, :2]).abs().sum(-1)
        likely = torch.logsumexp(votes.chances - missed_m / SPREAD_M, dim=-1)
        if votes.hinted is not None:
            guessed = torch.logsumexp(votes.hinted - missed_m.detach() / SPREAD_M, dim=-1)
            likely = likely + _HINT_WEIGHT * guessed
        # The look is at where the votes should have gone: in training roughly, else at the best.
        if self.training:
            spots_m = wanted[..., :2] + _ROUGHLY_M * torch.randn_like(wanted[..., :2])
        else:
            liked = votes.chances - missed_m / SPREAD_M
            spots_m = _at(votes, liked.argmax(-1)).detach()
        off = (self.look(votes.pictures, spots_m, votes.said) - wanted).abs()
        off = torch.cat([off[..., :3] / SPREAD_M, off[..., 3:]], dim=-1).mean(-1)
        weights = known.float()
        missed = ((off - likely) * weights).sum() / weights.sum().clamp_min(1.0)
        return missed + self.together.loss(votes.together, wanted, known)

    def poses(self, votes: Votes) -> Poses:
        """Those that won: position [m], then two columns of the rotation."""
        cells = best_cells(votes.chances, votes.spots_m, votes.together)
        return self.look(votes.pictures, _at(votes, cells), votes.said)


def _at(votes: Votes, cells: Int64[Tensor, "batch places"]) -> Float[Tensor, "batch places 2"]:
    """What these cells vote for."""
    return votes.spots_m.take_along_dim(cells[..., None, None], 2)[:, :, 0]


class First(nn.Module):
    """Picture to half of its side; with `fine` channels to a quarter, edges in two steps.

    Two steps alone were slower to learn colours; that the finer one helps with shapes is not shown.
    """

    def __init__(self, channels: int, fine: int) -> None:
        super().__init__()
        half, middle = channels // 2, fine or 3
        self.at_once = nn.Sequential(*normed(3, half, 7 if fine else 5, 4 if fine else 2))
        self.before = nn.Sequential(*(normed(3, middle, 5, 2) if fine else ()))
        self.in_steps = nn.Sequential(*normed(middle, channels - half, 3, 2))

    def forward(
        self, x: Float[Tensor, "batch 3 side side"]
    ) -> Float[Tensor, "batch channels smaller smaller"]:
        return torch.cat([self.at_once(x), self.in_steps(self.before(x))], dim=1)
