"""Named QoS profiles, and the profile of an input that fits its publishers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class InputKind:
    """How many messages of an input are kept until they are handled, and whether earlier ones are still valid.

    `may_be_latched`: a message published before the subscription is still valid, where its publisher keeps it for late
    subscribers (transient local).
    """

    depth: int
    may_be_latched: bool = False


# The node passes an image on at once; a few are kept for times when Python is busy for longer than an image's period.
IMAGES = InputKind(5)
CAMERA_INFO = InputKind(1, may_be_latched=True)
# GNSS, odometry, IMU: every message counts, also in a burst; ten seconds at 100 Hz.
SENSORS = InputKind(1000)

# Poses, status and diagnostics.
OUTPUT = _profile(10, reliable=True)
# Debug images: only the newest; reliable, because large best-effort images get lost in shared memory.
DEBUG_OUTPUT = _profile(1, reliable=True)
# The aerial image to look at: sent seldom, so it is kept for those that come later.
LATCHED_OUTPUT = _profile(1, reliable=True, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Each publisher keeps its own static transforms for those that come later.
STATIC_TF_INPUT = _profile(100, reliable=True, durability=DurabilityPolicy.TRANSIENT_LOCAL)
VOLATILE_STATIC_TF_INPUT = _profile(100, reliable=True)
# Many publishers of many kinds: best effort receives from all of them.
TF_INPUT = _profile(1000, reliable=False)
TF_OUTPUT = _profile(100, reliable=True)
# A recording's messages, and the answers to them: none may be lost.
REPLAY = _profile(SENSORS.depth, reliable=True)


def profile_matching(offered: Sequence[QoSProfile], kind: InputKind) -> QoSProfile:
    """The strictest profile that receives from all publishers of a topic, which offer `offered`.

    Reliable where all are: large best-effort images lose fragments in shared memory. Transient local where all are and
    an old message is of use. Without publishers, the profile that receives from whoever comes.
    """
    reliable = bool(offered) and all(one.reliability == ReliabilityPolicy.RELIABLE for one in offered)
    # Only a reliable subscription is sent what was kept.
    latched = (
        kind.may_be_latched
        and reliable
        and all(one.durability == DurabilityPolicy.TRANSIENT_LOCAL for one in offered)
    )
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return _profile(kind.depth, reliable, durability)
