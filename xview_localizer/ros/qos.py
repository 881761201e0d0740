"""Named QoS profiles."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _profile(
    depth: int, reliable: bool, durability: DurabilityPolicy = DurabilityPolicy.VOLATILE
) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=durability,
    )


def newest_input(reliable: bool) -> QoSProfile:
    """Images and CameraInfo: only the newest counts. A best-effort subscriber hears every publisher."""
    return _profile(1, reliable)


def sensor_input(reliable: bool) -> QoSProfile:
    """GNSS, odometry, IMU: every message counts, also in a burst; ten seconds at 100 Hz."""
    return _profile(1000, reliable)


# A CameraInfo that was published once, before we listened; hears only publishers that keep their last message.
LATCHED_INPUT = _profile(1, reliable=True, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Poses, status and diagnostics.
OUTPUT = _profile(10, reliable=True)
# Debug images: only the newest; reliable, because large best-effort images get lost in shared memory.
DEBUG_OUTPUT = _profile(1, reliable=True)
# The aerial image to look at: sent seldom, so it is kept for those that come later.
LATCHED_OUTPUT = _profile(1, reliable=True, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Each publisher keeps its own static transforms for those that come later.
STATIC_TF_INPUT = _profile(100, reliable=True, durability=DurabilityPolicy.TRANSIENT_LOCAL)
TF_OUTPUT = _profile(100, reliable=True)
