"""A DDS domain for a replay, used by no robot and no other replay."""

from __future__ import annotations

import os

# Every platform has ports for the domains up to 101; the lowest ones are those that people choose by hand.
FIRST_DOMAIN, DOMAINS = 10, 90


def use_own_domain() -> int:
    """Let this process and those that it starts use a domain of their own on this machine; returns its number.

    A ROS_DOMAIN_ID that is set stays in force, with whatever discovery range is set. To be called before rclpy.init.
    Humble has no discovery range: there the domain's number alone keeps other machines apart.
    """
    if not os.environ.get("ROS_DOMAIN_ID"):
        os.environ["ROS_DOMAIN_ID"] = str(FIRST_DOMAIN + os.getpid() % DOMAINS)
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    return int(os.environ["ROS_DOMAIN_ID"])
