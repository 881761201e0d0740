"""Requests for lifecycle transitions that the node's state does not have are answered, and do not end the process."""

from __future__ import annotations

from lifecycle_msgs.srv import ChangeState
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode


def refuse_impossible_transitions(node: LifecycleNode) -> None:
    """Let such a request fail, as rclcpp does.

    rclpy before Kilted raises from the service instead (ros2/rclpy issue 1209), which ends the spinning. A lifecycle
    manager sends one to a node that has activated itself.
    """
    # rclpy offers no public way to it; a later version may name it otherwise, and does not need this.
    service = getattr(node, "_service_change_state", None)
    if service is None:
        return
    change_state = service.callback

    def checked(request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        try:
            return change_state(request, response)
        except rclpy_implementation.RCLError as error:
            if node.context.ok():
                asked = request.transition.label or request.transition.id
                node.get_logger().warning(
                    f"cannot change the lifecycle's state by transition {asked}: {error}"
                )
            response.success = False
            return response

    service.callback = checked
