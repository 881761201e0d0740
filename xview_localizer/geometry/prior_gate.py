"""A prior as a gate on hypotheses and as a log density in the posterior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.pose import Prior

EDGE_SIGMAS = 2.0


@dataclass(frozen=True)
class PriorGate:
    """A prior as a disc of uniform density with a soft edge, and a Gaussian heading where one is known.

    A disc describes GNSS with an unknown bias, and the priors of data sets. `edge_m` is the standard deviation of the
    fall-off outside of it; positions up to EDGE_SIGMAS of them outside are searched.
    """

    prior: Prior
    edge_m: float
    yaw_sigmas: float

    @property
    def reach_m(self) -> float:
        """Greatest distance of a position from the prior's centre."""
        return self.prior.radius_m + EDGE_SIGMAS * self.edge_m

    def allows_position(self, t: np.ndarray) -> np.ndarray:
        """Mask of the positions t within reach."""
        return np.abs(t - (self.prior.x_m + 1j * self.prior.y_m)) <= self.reach_m

    def allows(self, a: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Mask of the poses (a, t) within reach and `yaw_sigmas` of the heading."""
        allowed = self.allows_position(t)
        if self.prior.heading is not None:
            yaw_rad, sigma_rad = self.prior.heading
            allowed &= np.abs(_yaw_error_rad(a, yaw_rad)) <= self.yaw_sigmas * sigma_rad
        return allowed

    def log_density(self, a: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Log prior density of the poses (a, t), up to a constant."""
        outside_m = np.maximum(np.abs(t - (self.prior.x_m + 1j * self.prior.y_m)) - self.prior.radius_m, 0.0)
        log_density = -0.5 * (outside_m / self.edge_m) ** 2
        if self.prior.heading is not None:
            yaw_rad, sigma_rad = self.prior.heading
            log_density = log_density - 0.5 * (_yaw_error_rad(a, yaw_rad) / sigma_rad) ** 2
        return log_density


def _yaw_error_rad(a: np.ndarray, yaw_rad: float) -> np.ndarray:
    """Signed differences [N] of the poses' yaws, arg a, from a heading, in [-pi, pi]."""
    return np.angle(a * np.exp(-1j * yaw_rad))
