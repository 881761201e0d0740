"""The coarse stage of a wide search: a vote that finds the small discs worth solving, within bounded memory.

The match field of a whole search would grow with its area. Instead a few ground cells at a time are matched with the
whole map and vote on a coarse lattice of poses. The full match field is made only around the highest votes
(localizer.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from xview_localizer.aerial_descriptors import AerialDescriptors
from xview_localizer.geometry.dense import DenseSolverConfig
from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.pose import Prior
from xview_localizer.geometry.posterior import distinct_modes
from xview_localizer.geometry.prior_gate import PriorGate
from xview_localizer.geometry.voting import VotingConfig, vote_in_parts
from xview_localizer.matching import MatchConfig, match
from xview_localizer.observation import PlacedObservation

# Searches up to this radius are solved whole: their field takes some 70 MB.
WHOLE_RADIUS_M = 50.0
# Twice as coarse as a whole search: far cells blur, but the discs are solved finely afterwards.
COARSE = VotingConfig(yaw_step_rad=float(np.radians(5.0)), spacing_m=2.4, max_ground_cells=240, candidates=64)
CELLS_AT_ONCE = 24  # ground cells whose matches with the whole search are in memory together
# At most this many discs are solved finely, each as wide as a coarse vote may be off.
DISCS, DISC_RADIUS_M, DISC_YAW_SIGMA_RAD = 8, 8.0, float(np.radians(5.0))


def discs_to_solve(
    placed: Sequence[PlacedObservation],
    aerial: AerialDescriptors,
    prior: Prior,
    solver: DenseSolverConfig,
    config: MatchConfig,
    seed: int,
) -> list[Prior]:
    """The prior itself where it is small, else the discs around its highest coarse votes, best first."""
    if prior.radius_m <= WHOLE_RADIUS_M:
        return [prior]
    gate = PriorGate(prior, COARSE.spacing_m, solver.yaw_gate_sigmas)
    a, t = vote_in_parts(_parts(placed, aerial, config, seed), aerial.grid, gate, solver.scale_bounds, COARSE)
    best = distinct_modes(a, t, -np.arange(len(a), dtype=float), DISC_RADIUS_M, 2 * DISC_YAW_SIGMA_RAD)
    return [
        Prior(float(t[k].real), float(t[k].imag), DISC_RADIUS_M, float(np.angle(a[k])), DISC_YAW_SIGMA_RAD)
        for k in best[:DISCS]
    ]


def _parts(
    placed: Sequence[PlacedObservation], aerial: AerialDescriptors, config: MatchConfig, seed: int
) -> Iterator[Evidence]:
    """The evidence of COARSE.max_ground_cells ground cells, CELLS_AT_ONCE at a time."""
    count = COARSE.max_ground_cells // CELLS_AT_ONCE
    few = replace(config, max_cells=CELLS_AT_ONCE)
    for number in range(count):
        field = match(placed, aerial, few, seed + number)
        yield Evidence.from_field(field, np.ones(len(field.weight), dtype=bool))
