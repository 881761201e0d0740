"""The services that an operator may call while the node runs."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from std_srvs.srv import Trigger

from xview_localizer.tracking.tracker import DriveTracker


class Services:
    """`~/relocalize` and `~/clear` (std_srvs/Trigger)."""

    def __init__(self, node: Node, tracker: DriveTracker, gnss_max_radius_m: float) -> None:
        self._node, self._tracker, self._max_radius_m = node, tracker, gnss_max_radius_m
        self._services = [
            node.create_service(Trigger, "~/relocalize", self._answering(self._relocalize)),
            node.create_service(Trigger, "~/clear", self._answering(self._clear)),
        ]

    def destroy(self) -> None:
        for service in self._services:
            self._node.destroy_service(service)

    def _answering(
        self, act: Callable[[], str]
    ) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
        def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            response.success, response.message = True, act()
            self._node.get_logger().info(response.message)
            return response

        return answer

    def _relocalize(self) -> str:
        self._tracker.relocalize()
        return (
            "the track is forgotten; the next images search wider and wider around GNSS, up to "
            f"{self._max_radius_m:.0f} m, until one is accepted"
        )

    def _clear(self) -> str:
        self._tracker.forget_belief()
        return "all hypotheses are forgotten; the next image is searched for around GNSS"
