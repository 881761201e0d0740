"""Conversion of images in ROS messages to RGB.

Only field names are used, so that the messages of rclpy and of bag readers both fit.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.lib.stride_tricks import as_strided

from xview_localizer.encoded_image import (
    MAX_IMAGE_PX,
    EncodedImageError,
    TooLargeImageError,
    decode_image,
    image_format,
)
from xview_localizer.inputs.messages import MessageError

# Number of channels of each encoding, and OpenCV's conversion to RGB (None where it is RGB). Bayer patterns are named
# by their first row in ROS and by their second row in OpenCV. Encodings 8UC… are OpenCV's own images, blue first.
_TO_RGB = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8UC1": (1, cv2.COLOR_GRAY2RGB),
    "8UC3": (3, cv2.COLOR_BGR2RGB),
    "8UC4": (4, cv2.COLOR_BGRA2RGB),
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    "nv12": (1, cv2.COLOR_YUV2RGB_NV12),
    "nv21": (1, cv2.COLOR_YUV2RGB_NV21),
}
# Encodings with 16 bits per channel, each with the 8-bit encoding of the same channels.
_OF_16_BITS = {
    "mono16": "mono8",
    **{f"{order}16": f"{order}8" for order in ("rgb", "bgr", "rgba", "bgra")},
    **{f"bayer_{order}16": f"bayer_{order}8" for order in ("rggb", "bggr", "gbrg", "grbg")},
}
ENCODINGS = (*_TO_RGB, *_OF_16_BITS)
# In these encodings half as many rows of chroma follow the rows of luminance.
_SEMI_PLANAR = ("nv12", "nv21")
# In these encodings two or four pixels share their chroma, so that widths (and heights) have to be even.
_SUBSAMPLED = (*_SEMI_PLANAR, "yuv422", "uyvy", "yuv422_yuy2", "yuyv")
# JPEG, PNG and WebP are recognised by this many bytes at the start.
_SIGNATURE_BYTES = 12
# Encodings of depth images (REP 118), which some transports compress as ordinary pictures.
_DEPTH = ("16UC1", "32FC1")


def rgb_from_image(message) -> np.ndarray:
    """sensor_msgs/Image to RGB [H, W, 3] uint8. Raises MessageError."""
    encoding = _of_8_bits(message.encoding)
    channels = _TO_RGB[encoding][0]
    deep = message.encoding in _OF_16_BITS
    row_bytes = message.width * channels * (2 if deep else 1)
    height, width, step = message.height, message.width, message.step
    if not 0 < height * width <= MAX_IMAGE_PX or step < row_bytes:
        raise MessageError(
            f"image of {width} × {height} with step {step} is impossible for {message.encoding}: step is the bytes of "
            f"a row, at least {row_bytes}"
        )
    rows = height * 3 // 2 if encoding in _SEMI_PLANAR else height
    data = np.frombuffer(message.data, np.uint8)
    if picture := image_format(data[:_SIGNATURE_BYTES].tobytes()):
        raise MessageError(
            f"image data is a {picture} picture, not pixels of {message.encoding}; let the driver decode it, or "
            "publish it as a CompressedImage"
        )
    needed = (rows - 1) * step + row_bytes  # drivers may leave out the padding of the last row
    if data.size < needed:
        raise MessageError(f"image data is cut off: {data.size} of {needed} bytes")
    pixels = np.ascontiguousarray(as_strided(data, (rows, row_bytes), (step, 1)))
    if deep:
        pixels = pixels.view(">u2" if message.is_bigendian else "<u2")
    pixels = pixels.reshape(rows, width, channels)
    return _rgb(_to_8_bits(pixels) if deep else pixels, encoding)


def rgb_from_compressed_image(message, camera_size: tuple[int, int] | None = None) -> np.ndarray:
    """sensor_msgs/CompressedImage (JPEG, PNG, …) to RGB [H, W, 3] uint8. Raises MessageError.

    image_transport writes formats such as "rgb8; jpeg compressed bgr8": the encoding of the raw image comes first. It
    matters only for a Bayer mosaic, which may be compressed like a grey image and is converted to colours here. An
    image that claims more pixels than `camera_size` (width, height) is refused before it is decoded.
    """
    encoding, _, how = (part.strip() for part in message.format.partition(";"))
    if "compressedDepth" in how or encoding in _DEPTH:
        raise MessageError(f"compressed image '{message.format}' is a depth image; take the camera's own")
    mosaic = encoding.startswith("bayer_")
    if mosaic:
        encoding = _of_8_bits(encoding)
    data = bytes(message.data)
    max_px = MAX_IMAGE_PX if camera_size is None else camera_size[0] * camera_size[1]
    try:
        image = decode_image(data, max_px)
    except TooLargeImageError as error:
        belongs = ""
        if camera_size is not None:
            width, height = camera_size
            belongs = f"; its CameraInfo has {width} × {height}: check that it belongs to this image"
        raise MessageError(f"compressed image ({message.format or 'no format'}) {error}{belongs}") from error
    except EncodedImageError as error:
        raise MessageError(f"compressed image ({message.format or 'no format'}) {error}") from error
    if image.dtype == np.uint16:
        image = _to_8_bits(image)
    if image.dtype != np.uint8:
        raise MessageError(
            f"compressed image ({message.format}) holds {image.dtype}, not 8 or 16 bits a channel"
        )
    if image.ndim == 2:
        return _rgb(image, encoding if mosaic else "mono8")
    return _rgb(image, "bgr8")  # OpenCV leaves out the alpha of a fourth channel


def _of_8_bits(encoding: str) -> str:
    """The encoding itself, or its counterpart of 8 bits a channel. Raises MessageError."""
    encoding_8 = _OF_16_BITS.get(encoding, encoding)
    if encoding_8 not in _TO_RGB:
        raise MessageError(f"image encoding '{encoding}' is not supported; use one of {', '.join(ENCODINGS)}")
    return encoding_8


def _to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """uint16 [H, W] or [H, W, channels] to uint8.

    Cameras of 10, 12 or 14 bits leave the upper bits 0, so the image's own range counts; that of a fourth channel,
    which is opacity, does not.
    """
    colours = pixels[..., :3] if pixels.ndim == 3 else pixels
    bits = max(8, int(colours.max()).bit_length())
    return (pixels >> (bits - 8)).astype(np.uint8)


def _rgb(pixels: np.ndarray, encoding: str) -> np.ndarray:
    """Pixels [H, W] or [H, W, channels] of a supported encoding as RGB [H, W, 3]. Raises MessageError."""
    conversion = _TO_RGB[encoding][1]
    if conversion is None:
        return pixels
    height, width = pixels.shape[:2]
    # OpenCV 4.6 converts odd widths and loses a column. Rows of a second plane stand below those of the first.
    odd = encoding in _SUBSAMPLED and (width % 2 or encoding in _SEMI_PLANAR and height % 3)
    if odd:
        raise MessageError(
            f"cannot convert {width} × {height} of {encoding}: its width and height must be even"
        )
    try:
        return cv2.cvtColor(pixels, conversion)
    except cv2.error as error:
        raise MessageError(f"cannot convert {width} × {height} of {encoding}: {error.err}") from error
