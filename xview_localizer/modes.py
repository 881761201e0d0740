"""Where an image may have been taken: all modes of the pose posterior within the search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from xview_localizer.geometry.dense import PoseMode, distinct_places
from xview_localizer.geometry.pose import Prior
from xview_localizer.rejection import Rejection

# A search of this radius offers about PLACES distinct places, as many as it has modes; others in proportion to area.
PLACES, PLACES_RADIUS_M = 8, 20.0
# Chance that the robot is outside of the search, since GNSS is further off than it reports or the map shows another
# place.
OUTSIDE_PROBABILITY = 0.05
# The same chance once earlier images have left hypotheses: a robot at none of them is outside as likely as not.
OUTSIDE_LATER_PROBABILITY = 0.5


@dataclass(frozen=True)
class Modes:
    """The modes of one image (with the earlier ones joined to it), most probable first.

    There are none, but a `rejection`, where the image, the map or the prior gave nothing to solve. Poses are those of
    base_link in `map`.
    """

    stamp_sec: float
    search: Prior | None
    modes: tuple[PoseMode, ...] = ()
    images: int = 1
    score_per_cell: float = 0.0  # of the current image at the first mode
    inliers: int = 0
    inlier_ratio: float = 0.0
    rejection: Rejection | None = None
    covered: float = 1.0  # share of the search that the map's imagery covers
    map_sigma_m: float = 0.0  # standard deviation of the imagery's own position, per axis
    depth_source: str = ""
    on_slope: bool = False  # the first mode is that of the ground parallel to base_link (see Observation)
    timings_ms: Mapping[str, float] = field(default_factory=dict)

    def covariance_in_map(self, mode: PoseMode) -> np.ndarray:
        """Covariance [3, 3] of a mode's (x, y, yaw) in `map`: relative to the imagery, plus the imagery's own."""
        return mode.covariance + np.diag([self.map_sigma_m**2, self.map_sigma_m**2, 0.0])

    def log_prior(self, first: bool) -> np.ndarray:
        """Log weight [modes] of each mode, before the image, against "none of these".

        Before the `first` image the robot is most likely somewhere in the search. Afterwards the hypotheses hold that
        chance, and "none of these" stands for other places. The robot may also be where the map has no imagery and no
        mode can be found, so only the `covered` share of the search counts.
        """
        radius_m = self.search.radius_m if self.search else PLACES_RADIUS_M
        places = PLACES * max(1.0, radius_m / PLACES_RADIUS_M) ** 2
        outside = OUTSIDE_PROBABILITY if first else OUTSIDE_LATER_PROBABILITY
        found = (1 - outside) * self.covered
        odds = found / (1 - found)
        return np.array([mode.log_prior for mode in self.modes]) + np.log(odds / places)


def with_rivals(best: Modes, others: Sequence[Modes]) -> Modes:
    """`best` with the modes of other readings of its image, such as at another pitch, as rivals; one mode per place."""
    modes = [mode for reading in (best, *others) for mode in reading.modes]
    return replace(best, modes=distinct_places(modes)) if modes else best
