"""Conversion of raw images by cv_bridge, where a ROS installation has it, for encodings that are not known offline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sensor_msgs.msg import Image

from xview_localizer.inputs.image_messages import ENCODINGS, rgb_from_image
from xview_localizer.inputs.messages import MessageError


def image_decoder() -> Callable[[Image], np.ndarray]:
    """What takes a sensor_msgs/Image to RGB [H, W, 3] uint8, with the pixels of an offline replay where that can.

    The function that is returned raises MessageError.
    """
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except (ImportError, AttributeError):  # cv_bridges built for another NumPy raise the latter
        return rgb_from_image
    bridge = CvBridge()

    def decode(message: Image) -> np.ndarray:
        if message.encoding in ENCODINGS:
            return rgb_from_image(message)
        try:
            return np.ascontiguousarray(bridge.imgmsg_to_cv2(message, "rgb8"))
        except (CvBridgeError, ValueError, TypeError) as error:
            raise MessageError(
                f"image of encoding '{message.encoding}' cannot be converted: {error}; let the driver publish rgb8 or "
                "another encoding of colours"
            ) from error

    return decode
