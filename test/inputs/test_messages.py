"""Decoding ROS messages: accepted encodings give the expected values; faulty messages are refused with the cause."""

import struct
import zlib
from types import SimpleNamespace as Message

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from xview_localizer.encoded_image import MAX_IMAGE_PX
from xview_localizer.geometry.camera import EquirectangularCamera, PinholeCamera
from xview_localizer.inputs.image_messages import rgb_from_compressed_image, rgb_from_image
from xview_localizer.inputs.messages import (
    MessageError,
    camera_from_info,
    gravity_from_imu,
    pose_from_odometry,
    pose_from_reference,
    position_from_nav_sat_fix,
    stamp_sec,
    transform_from_message,
)

HEIGHT, WIDTH = 12, 16


def picture():
    """An RGB image [HEIGHT, WIDTH, 3] of smooth colours, of which Bayer and chroma subsampling lose little."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([60 + 8 * columns, 200 - 9 * rows, 40 + 5 * (rows + columns)], axis=-1).astype(np.uint8)


def image(encoding, data, padding=0):
    rows = np.pad(data.reshape(HEIGHT, -1), ((0, 0), (0, padding)))
    return Message(encoding=encoding, height=HEIGHT, width=WIDTH, step=rows.shape[1], data=rows.tobytes())


def bayer(first_row, second_row):
    """The Bayer mosaic [HEIGHT, WIDTH] of the picture; colours of even and odd rows: 0 red, 1 green, 2 blue."""
    rgb, mosaic = picture(), np.zeros((HEIGHT, WIDTH), np.uint8)
    for row, colours in enumerate((first_row, second_row)):
        for column, colour in enumerate(colours):
            mosaic[row::2, column::2] = rgb[row::2, column::2, colour]
    return mosaic


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "order"),
    [("rgb8", [0, 1, 2]), ("bgr8", [2, 1, 0]), ("rgba8", [0, 1, 2, 2]), ("bgra8", [2, 1, 0, 0])],
)
def test_interleaved_channels_are_reordered_to_rgb(encoding, order, padding):
    np.testing.assert_array_equal(rgb_from_image(image(encoding, picture()[..., order], padding)), picture())


def test_the_last_row_may_lack_its_padding():
    message = image("rgb8", picture(), padding=5)
    message.data = message.data[:-5]
    np.testing.assert_array_equal(rgb_from_image(message), picture())
    message.data = message.data[:-1]
    with pytest.raises(MessageError, match="cut off"):
        rgb_from_image(message)


def test_sides_that_share_colours_have_to_be_even():
    odd = Message(encoding="yuyv", height=4, width=3, step=6, data=bytes(24))
    with pytest.raises(MessageError, match="3 × 4 of yuyv: its width and height must be even"):
        rgb_from_image(odd)


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_depth_that_is_compressed_as_a_picture_is_refused(encoding):
    data = cv2.imencode(".png", np.full((HEIGHT, WIDTH), 3000, np.uint16))[1].tobytes()
    with pytest.raises(MessageError, match="is a depth image"):
        rgb_from_compressed_image(Message(format=f"{encoding}; png compressed ", data=data))


def test_rotations_are_freed_from_rounding():
    q = 1.009 * np.array([0.0, 0.0, np.sin(0.5), np.cos(0.5)])
    rotation = Message(**dict(zip("xyzw", q, strict=True)))
    message = Message(
        child_frame_id="b", transform=Message(translation=Message(x=0.0, y=0.0, z=0.0), rotation=rotation)
    )
    np.testing.assert_allclose(
        transform_from_message(message).R, Rotation.from_rotvec([0, 0, 1.0]).as_matrix(), atol=1e-12
    )


def test_grey_becomes_three_equal_channels():
    grey = picture()[..., 1]
    np.testing.assert_array_equal(rgb_from_image(image("mono8", grey)), np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("encoding", "first_row", "second_row"),
    [
        ("bayer_rggb8", (0, 1), (1, 2)),
        ("bayer_bggr8", (2, 1), (1, 0)),
        ("bayer_gbrg8", (1, 2), (0, 1)),
        ("bayer_grbg8", (1, 0), (2, 1)),
    ],
)
def test_bayer_patterns_name_the_first_row(encoding, first_row, second_row):
    rgb = rgb_from_image(image(encoding, bayer(first_row, second_row)))
    inner = (slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(rgb[inner].astype(int), picture()[inner].astype(int), atol=3)


@pytest.mark.parametrize(
    ("encoding", "luma", "chroma"), [("yuv422", 1, 0), ("uyvy", 1, 0), ("yuv422_yuy2", 0, 1), ("yuyv", 0, 1)]
)
def test_yuv_422_is_converted_by_its_order_of_luma_and_chroma(encoding, luma, chroma):
    yuv = cv2.cvtColor(picture(), cv2.COLOR_RGB2YUV)
    packed = np.zeros((HEIGHT, WIDTH, 2), np.uint8)
    packed[..., luma] = yuv[..., 0]
    packed[:, 0::2, chroma], packed[:, 1::2, chroma] = yuv[:, 0::2, 1], yuv[:, 0::2, 2]
    # The packed format is BT.601 with video range, cvtColor's YUV full range: only order is compared.
    rgb = rgb_from_image(image(encoding, packed)).astype(float)
    assert np.corrcoef(rgb.ravel(), picture().ravel().astype(float))[0, 1] > 0.97


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_compressed_images_are_decoded_to_rgb(suffix):
    encoded = cv2.imencode(suffix, picture()[..., ::-1])[1]
    rgb = rgb_from_compressed_image(Message(format=suffix, data=encoded.tobytes()))
    np.testing.assert_allclose(rgb.astype(int), picture().astype(int), atol=30)


@pytest.mark.parametrize("order", [[2, 1, 0], [2, 1, 0, 0]])  # the second one has an alpha channel
@pytest.mark.parametrize("raw", ["rgb8", "bgr8", "bgra8", "yuv422"])
def test_compressed_images_are_bgr_whatever_the_raw_encoding_in_their_format_field(raw, order):
    encoded = cv2.imencode(".png", picture()[..., order])[1].tobytes()
    message = Message(format=f"{raw}; png compressed bgr8", data=encoded)
    np.testing.assert_array_equal(rgb_from_compressed_image(message), picture())


@pytest.mark.parametrize("encoding", ["bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8"])
def test_compressed_bayer_mosaics_give_the_same_image_as_raw_ones(encoding):
    mosaic = bayer((0, 1), (1, 2))
    message = Message(format=f"{encoding}; png compressed ", data=cv2.imencode(".png", mosaic)[1].tobytes())
    np.testing.assert_array_equal(rgb_from_compressed_image(message), rgb_from_image(image(encoding, mosaic)))


def test_an_unknown_bayer_pattern_is_refused_by_name():
    data = cv2.imencode(".png", picture())[1].tobytes()
    with pytest.raises(MessageError, match="'bayer_xyz8' is not supported"):
        rgb_from_compressed_image(Message(format="bayer_xyz8; png compressed ", data=data))


@pytest.mark.parametrize("is_bigendian", [0, 1])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_16_bit_images_use_their_own_range(bits, is_bigendian):
    deep = picture()[..., 0].astype(np.uint16) << (bits - 8)
    deep[0, 0] = 2**bits - 1
    expected = np.repeat((deep >> (bits - 8))[..., None], 3, axis=2)
    data = deep.astype(">u2" if is_bigendian else "<u2").view(np.uint8)
    message = image("mono16", data, padding=4)
    message.is_bigendian = is_bigendian
    np.testing.assert_array_equal(rgb_from_image(message), expected)
    encoded = cv2.imencode(".png", deep)[1].tobytes()
    compressed = Message(format="mono16; png compressed ", data=encoded)
    np.testing.assert_array_equal(rgb_from_compressed_image(compressed), expected)


def test_opacity_sets_no_range_of_16_bit_images():
    """Drivers fill it with 65535, whatever the bits of the colours."""
    opaque = np.dstack([picture(), np.full(picture().shape[:2], 255, np.uint8)])
    deep = opaque.astype("<u2") << np.array([4, 4, 4, 8], "<u2")
    deep[0, 0, :3] = 4095
    message = image("rgba16", deep.view(np.uint8))
    message.is_bigendian = 0
    np.testing.assert_array_equal(rgb_from_image(message), deep[..., :3] >> 4)


def test_dark_16_bit_images_are_not_brightened():
    dark = picture()[..., 0].astype(np.uint16) >> 3
    encoded = cv2.imencode(".png", dark)[1].tobytes()
    rgb = rgb_from_compressed_image(Message(format="mono16; png compressed ", data=encoded))
    np.testing.assert_array_equal(rgb[..., 0], dark)


def test_compressed_images_of_floats_are_refused():
    encoded = cv2.imencode(".tiff", picture()[..., 0].astype(np.float32))[1].tobytes()
    with pytest.raises(MessageError, match=r"compressed image \(tiff\) holds float32, not 8 or 16 bits"):
        rgb_from_compressed_image(Message(format="tiff", data=encoded))


def test_16_bit_mosaics_and_colours():
    mosaic = bayer((0, 1), (1, 2))
    wide = mosaic.astype("<u2") * 257
    message = image("bayer_rggb16", wide.view(np.uint8))
    message.is_bigendian = 0
    np.testing.assert_array_equal(rgb_from_image(message), rgb_from_image(image("bayer_rggb8", mosaic)))
    colours = image("bgr16", (picture()[..., ::-1].astype("<u2") * 257).view(np.uint8))
    colours.is_bigendian = 0
    lit = int(picture().max()).bit_length() - 8  # the brightest pixel sets the range
    np.testing.assert_array_equal(rgb_from_image(colours), picture() >> max(lit, 0))


@pytest.mark.parametrize(("encoding", "order"), [("8UC3", [2, 1, 0]), ("8UC4", [2, 1, 0, 0])])
def test_opencv_images_are_blue_first(encoding, order):
    np.testing.assert_array_equal(rgb_from_image(image(encoding, picture()[..., order])), picture())
    grey = picture()[..., 1]
    np.testing.assert_array_equal(rgb_from_image(image("8UC1", grey))[..., 2], grey)


@pytest.mark.parametrize(("encoding", "first"), [("nv12", 1), ("nv21", 2)])
def test_semi_planar_yuv(encoding, first):
    yuv = cv2.cvtColor(picture(), cv2.COLOR_RGB2YUV)
    chroma = yuv[::2, ::2, [first, 3 - first]].reshape(HEIGHT // 2, WIDTH)
    rows = np.pad(np.concatenate([yuv[..., 0], chroma]), ((0, 0), (0, 3)))
    message = Message(encoding=encoding, height=HEIGHT, width=WIDTH, step=WIDTH + 3, data=rows.tobytes())
    rgb = rgb_from_image(message).astype(float)
    assert rgb.shape == picture().shape
    assert np.corrcoef(rgb.ravel(), picture().ravel().astype(float))[0, 1] > 0.97
    message.data = message.data[: HEIGHT * (WIDTH + 3)]  # luminance only
    with pytest.raises(MessageError, match="cut off"):
        rgb_from_image(message)


def png_of(width, height):
    """A PNG file of a header with the given size, and no pixel data."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IEND\xaeB`\x82"


@pytest.mark.parametrize(
    ("side_px", "camera_size", "message"),
    [
        (20_000, None, "it was not decoded$"),
        (12_000, None, "it was not decoded$"),
        (
            400,
            (160, 120),
            "it was not decoded; its CameraInfo has 160 × 120: check that it belongs to this image",
        ),
    ],
)
def test_images_too_large_by_their_header_are_refused_before_they_are_decoded(
    side_px, camera_size, message, monkeypatch
):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(MessageError, match=message):
        rgb_from_compressed_image(Message(format="png", data=png_of(side_px, side_px)), camera_size)


@pytest.mark.parametrize("behind", [bytes(5000), b"\xff" * 5000, bytes(range(1, 256)) * 20])
def test_cut_jpegs_are_refused_and_those_in_a_larger_buffer_taken(behind):
    """Drivers that hand over their whole buffer leave in it what earlier pictures had there (usb_cam)."""
    jpeg = cv2.imencode(".jpg", picture()[..., ::-1])[1].tobytes()
    with pytest.raises(MessageError, match="cut short"):
        rgb_from_compressed_image(Message(format="jpeg", data=jpeg[: len(jpeg) * 2 // 3]))
    in_buffer = rgb_from_compressed_image(Message(format="jpeg", data=jpeg + behind))
    np.testing.assert_array_equal(in_buffer, rgb_from_compressed_image(Message(format="jpeg", data=jpeg)))


@pytest.mark.parametrize("fill_bytes", [0, 1])
def test_the_end_of_a_preview_is_not_that_of_its_picture(fill_bytes):
    jpeg = cv2.imencode(".jpg", picture()[..., ::-1])[1].tobytes()
    segment = b"\xff" * fill_bytes + b"\xff\xe1" + (2 + len(jpeg)).to_bytes(2, "big") + jpeg
    with_preview = jpeg[:2] + segment + jpeg[2:]
    rgb_from_compressed_image(Message(format="jpeg", data=with_preview))
    with pytest.raises(MessageError, match="cut short"):
        rgb_from_compressed_image(Message(format="jpeg", data=with_preview[:-100]))


def test_compressed_depth_images_are_refused_by_name():
    with pytest.raises(MessageError, match="16UC1; compressedDepth png' is a depth image"):
        rgb_from_compressed_image(Message(format="16UC1; compressedDepth png", data=b"\0" * 40))


def test_exif_does_not_turn_images():
    jpeg = cv2.imencode(".jpg", picture()[..., ::-1])[1].tobytes()
    # A TIFF header and its one entry: orientation 6, a quarter turn.
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (WIDTH, HEIGHT, 3)
    plain, tagged = (rgb_from_compressed_image(Message(format="jpeg", data=data)) for data in (jpeg, turned))
    np.testing.assert_array_equal(tagged, plain)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xe0 not a jpeg", bytes(1000)])
def test_broken_compressed_images_are_refused(data):
    with pytest.raises(MessageError, match="cannot be decoded"):
        rgb_from_compressed_image(Message(format="jpeg", data=data))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"encoding": "32FC1"}, "encoding '32FC1' is not supported"),
        ({"data": b"123"}, "cut off"),
        ({"step": 3}, "impossible for .*: step is the bytes of a row, at least"),
        ({"width": 0}, "impossible"),
        ({"width": 1, "height": MAX_IMAGE_PX + 1, "step": 3}, "impossible"),
        ({"encoding": "uyvy", "width": 15}, "cannot convert 15 × 12 of uyvy"),
        ({"encoding": "nv12", "height": 7}, "cannot convert 16 × 10 of nv12"),
    ],
)
def test_broken_images_are_refused(change, complaint):
    message = image("rgb8", picture())
    message.__dict__.update(change)
    with pytest.raises(MessageError, match=complaint):
        rgb_from_image(message)


@pytest.mark.parametrize(("suffix", "kind"), [(".jpg", "JPEG"), (".png", "PNG"), (".webp", "WebP")])
def test_a_picture_in_place_of_pixels_is_named(suffix, kind):
    """usb_cam's raw_mjpeg puts the camera's JPEG into a buffer as large as the pixels would be."""
    message = image("rgb8", picture())
    encoded = cv2.imencode(suffix, np.zeros((2, 2, 3), np.uint8))[1].tobytes()
    for data in (encoded, encoded.ljust(len(message.data), b"\0")):
        message.data = data
        with pytest.raises(MessageError, match=f"is a {kind} picture, not pixels of rgb8; .*CompressedImage"):
            rgb_from_image(message)


def test_same_pixels_as_cv_bridge():
    cv_bridge = pytest.importorskip("cv_bridge", reason="only a ROS installation has cv_bridge")
    messages = pytest.importorskip("sensor_msgs.msg")
    for encoding, data in (
        ("rgb8", picture()),
        ("bgr8", picture()),
        ("mono8", picture()[..., 0]),
        ("bayer_rggb8", bayer((0, 1), (1, 2))),
    ):
        fields = image(encoding, data)
        message = messages.Image(
            encoding=encoding, height=HEIGHT, width=WIDTH, step=fields.step, data=fields.data
        )
        np.testing.assert_array_equal(
            rgb_from_image(message), cv_bridge.CvBridge().imgmsg_to_cv2(message, "rgb8")
        )


def info(**changes):
    k = [400.0, 0.0, 319.5, 0.0, 410.0, 239.5, 0.0, 0.0, 1.0]
    fields = {
        "width": 640, "height": 480, "distortion_model": "plumb_bob", "d": [0.0] * 5, "k": k,
        "binning_x": 0, "binning_y": 0, "roi": Message(x_offset=0, y_offset=0, width=0, height=0),
    }  # fmt: skip
    return Message(**{**fields, **changes})


def test_camera_info_gives_the_camera_of_the_delivered_image():
    camera = camera_from_info(info())
    assert isinstance(camera, PinholeCamera)
    assert (camera.cx, camera.cy) == (320.0, 240.0)
    assert isinstance(camera_from_info(info(distortion_model="equirectangular", d=[])), EquirectangularCamera)
    with pytest.raises(MessageError, match="CameraInfo: .*fisheye42"):
        camera_from_info(info(distortion_model="fisheye42"))
    with pytest.raises(MessageError, match="fx"):
        camera_from_info(info(k=[0.0] * 8 + [1.0]))
    with pytest.raises(MessageError, match="not calibrated.*set k as well as p"):
        camera_from_info(info(k=[0.0] * 9))
    part = camera_from_info(info(binning_x=2, roi=Message(x_offset=20, y_offset=40, width=600, height=400)))
    assert (part.width, part.height, part.fx, part.fy) == (300, 400, 200.0, 410.0)
    assert (part.cx, part.cy) == (150.0, 200.0)


def fix(**changes):
    fields = {
        "status": Message(status=0), "latitude": 48.0, "longitude": 11.0, "altitude": 500.0,
        "position_covariance": [4.0, 0, 0, 0, 9.0, 0, 0, 0, 100.0], "position_covariance_type": 2,
    }  # fmt: skip
    return Message(**{**fields, **changes})


def test_nav_sat_fix_gives_the_position_and_its_larger_horizontal_sigma():
    position = position_from_nav_sat_fix(fix(), default_sigma_m=7.0)
    assert (position.latitude_deg, position.longitude_deg, position.altitude_m, position.sigma_m) == (
        48.0,
        11.0,
        500.0,
        3.0,
    )
    worse_to_the_east = fix(position_covariance=[16.0, 1.0, 0, 1.0, 9.0, 0, 0, 0, 100.0])
    assert position_from_nav_sat_fix(worse_to_the_east, 7.0).sigma_m == 4.0
    unknown = position_from_nav_sat_fix(fix(position_covariance_type=0), 7.0)
    assert (unknown.latitude_deg, unknown.longitude_deg) == (48.0, 11.0)
    assert (unknown.altitude_m, unknown.sigma_m) == (500.0, 7.0)
    assert position_from_nav_sat_fix(fix(position_covariance_type=1), 7.0).sigma_m == 3.0
    assert position_from_nav_sat_fix(fix(altitude=float("nan")), 7.0).altitude_m == 0.0
    # STATUS_UNKNOWN, what a driver that never sets a status sends.
    assert position_from_nav_sat_fix(fix(status=Message(status=-2)), 7.0).sigma_m == 3.0
    rtk = fix(position_covariance=[0.0001] * 9)
    assert position_from_nav_sat_fix(rtk, 7.0).sigma_m == pytest.approx(0.01)
    pole = position_from_nav_sat_fix(fix(latitude=-90.0, longitude=360.0), 7.0)
    assert (pole.latitude_deg, pole.longitude_deg) == (-90.0, 360.0)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"status": Message(status=-1)}, "no fix"),
        ({"latitude": float("nan")}, "not finite"),
        ({"latitude": 90.01}, "out of range"),
        ({"latitude": -90.01}, "out of range"),
        ({"longitude": 360.01}, "out of range"),
        ({"position_covariance": [0.0] * 9}, "not positive"),
        ({"position_covariance": [4.0, 0, 0, 0, float("nan"), 0, 0, 0, 1.0]}, "not positive and finite: nan"),
        ({"position_covariance": [float("inf"), 0, 0, 0, 4.0, 0, 0, 0, 1.0]}, "not positive and finite: inf"),
    ],
)
def test_broken_nav_sat_fixes_are_refused(change, complaint):
    with pytest.raises(MessageError, match=complaint):
        position_from_nav_sat_fix(fix(**change), 7.0)


def quaternion(roll_rad=0.0, pitch_rad=0.0, yaw_rad=0.0):
    (cr, cp, cy), (sr, sp, sy) = (f(np.array([roll_rad, pitch_rad, yaw_rad]) / 2) for f in (np.cos, np.sin))
    return Message(
        x=sr * cp * cy - cr * sp * sy,
        y=cr * sp * cy + sr * cp * sy,
        z=cr * cp * sy - sr * sp * cy,
        w=cr * cp * cy + sr * sp * sy,
    )


def odometry(orientation, x=1.0, frame_id="odom", child_frame_id="base_link"):
    pose = Message(position=Message(x=x, y=2.0, z=0.0), orientation=orientation)
    header = Message(frame_id=frame_id)
    return Message(header=header, child_frame_id=child_frame_id, pose=Message(pose=pose))


def test_odometry_gives_a_planar_pose():
    pose = pose_from_odometry(odometry(quaternion(0.05, -0.1, 2.5)))
    assert (pose.x_m, pose.y_m) == (1.0, 2.0)
    assert pose.yaw_rad == pytest.approx(2.5)
    with pytest.raises(MessageError, match="unit quaternion"):
        pose_from_odometry(odometry(Message(x=0.0, y=0.0, z=0.0, w=0.0)))
    with pytest.raises(MessageError, match="not finite"):
        pose_from_odometry(odometry(quaternion(), x=float("inf")))


@pytest.mark.parametrize("seed", range(5))
def test_transforms_have_the_rotation_of_their_quaternion(seed):
    rotation = Rotation.random(random_state=seed)
    x, y, z, w = rotation.as_quat()
    transform = Message(translation=Message(x=1.0, y=-2.0, z=3.0), rotation=Message(x=x, y=y, z=z, w=w))
    read = transform_from_message(Message(child_frame_id="camera", transform=transform))
    np.testing.assert_allclose(read.R, rotation.as_matrix(), atol=1e-12)
    np.testing.assert_array_equal(read.t_m, [1.0, -2.0, 3.0])


def test_transforms_that_are_not_finite_are_refused():
    translation = Message(x=1.0, y=float("nan"), z=3.0)
    transform = Message(translation=translation, rotation=quaternion())
    with pytest.raises(MessageError, match=r"transform of camera is not finite: \[1.0, nan, 3.0\]"):
        transform_from_message(Message(child_frame_id="camera", transform=transform))


@pytest.mark.parametrize(("norm", "taken"), [(0.991, True), (1.009, True), (0.989, False), (1.011, False)])
def test_quaternions_may_be_rounded_but_not_scaled(norm, taken):
    message = odometry(Message(x=0.0, y=0.0, z=0.6 * norm, w=0.8 * norm))
    if taken:
        assert pose_from_odometry(message).yaw_rad == pytest.approx(2 * np.arctan2(0.6, 0.8), abs=0.02)
    else:
        with pytest.raises(MessageError, match="unit quaternion"):
            pose_from_odometry(message)


def test_stamp_is_in_seconds():
    header = Message(stamp=Message(sec=1_750_000_000, nanosec=250_000_000))
    assert stamp_sec(Message(header=header)) == 1_750_000_000.25


def reference(covariance=None):
    """A PoseStamped, or with `covariance` (36 numbers) a PoseWithCovarianceStamped."""
    pose = Message(position=Message(x=1.0, y=2.0, z=0.0), orientation=quaternion(yaw_rad=0.5))
    if covariance is not None:
        pose = Message(pose=pose, covariance=covariance)
    return Message(header=Message(frame_id="map"), pose=pose)


def test_reference_poses_have_their_larger_horizontal_sigma_or_else_the_default():
    covariance = np.diag([4.0, 9.0, 100.0, 1.0, 1.0, 0.01])
    covariance[0, 1] = covariance[1, 0] = 25.0
    for message, sigma_m in (
        (reference(), 7.0),
        (reference(covariance.ravel().tolist()), 3.0),
        (reference(covariance[[1, 0, 2, 3, 4, 5]][:, [1, 0, 2, 3, 4, 5]].ravel().tolist()), 3.0),
        (reference((covariance / 1e4).ravel().tolist()), 0.03),
        (reference([0.0] * 36), 7.0),
        (reference([float("inf")] * 36), 7.0),
    ):
        pose, sigma = pose_from_reference(message, default_sigma_m=7.0)
        assert (pose.x_m, pose.y_m, pose.yaw_rad, sigma) == pytest.approx((1.0, 2.0, 0.5, sigma_m))


@pytest.mark.parametrize(("length", "gravity"), [(5.1, True), (4.9, False), (14.9, True), (15.1, False)])
def test_acceleration_counts_as_gravity_from_5_to_15_mps2(length, gravity):
    message = imu(False, (0.0, 0.0, length))
    if gravity:
        np.testing.assert_allclose(gravity_from_imu(message), [0.0, 0.0, -1.0])
    else:
        with pytest.raises(MessageError, match="is not gravity"):
            gravity_from_imu(message)


def test_an_imu_that_measures_no_tilt_is_named_as_such():
    message = imu(False, (0.0, 0.0, 9.81))
    message.linear_acceleration_covariance = [-1.0] + [0.0] * 8
    with pytest.raises(MessageError, match="neither roll and pitch nor an acceleration"):
        gravity_from_imu(message)


@pytest.mark.parametrize(
    ("frames", "axes"),
    [
        ({"frame_id": "camera_color_optical_frame"}, "camera_color_optical_frame' .z forward"),
        ({"frame_id": "odom_ned"}, "odom_ned' .north, east, down"),
        ({"frame_id": "odom_frd"}, "odom_frd' .forward, right, down"),
    ],
)
def test_odometry_in_a_frame_with_other_axes_is_refused_with_the_frame_s_name(frames, axes):
    with pytest.raises(MessageError, match=axes):
        pose_from_odometry(odometry(quaternion(), **frames))


def test_odometry_that_leans_too_far_is_refused():
    pose_from_odometry(odometry(quaternion(0.5, 0.3, 1.0)))
    with pytest.raises(MessageError, match="leans by 90°.*optical frame"):
        pose_from_odometry(odometry(quaternion(-np.pi / 2, 0.0, -np.pi / 2)))
    with pytest.raises(MessageError, match="leans by 180°"):
        pose_from_odometry(odometry(quaternion(np.pi, 0.0, 0.3)))


def imu(orientation_known=True, force=(0.0, 0.0, 9.81), **angles):
    return Message(
        orientation=quaternion(**angles), orientation_covariance=[0.0 if orientation_known else -1.0] + [0.0] * 8,
        linear_acceleration=Message(x=force[0], y=force[1], z=force[2]), linear_acceleration_covariance=[0.0],
    )  # fmt: skip


def test_gravity_comes_from_the_imu_s_orientation_or_else_its_acceleration():
    np.testing.assert_allclose(gravity_from_imu(imu()), [0, 0, -1])
    # Nose down: down has a part along x, forward.
    np.testing.assert_allclose(
        gravity_from_imu(imu(pitch_rad=0.2, yaw_rad=1.0)), [np.sin(0.2), 0, -np.cos(0.2)], atol=1e-12
    )
    # Right side down: down has a part to the right, -y.
    np.testing.assert_allclose(
        gravity_from_imu(imu(roll_rad=0.2)), [0, -np.sin(0.2), -np.cos(0.2)], atol=1e-12
    )
    force = 9.81 * np.array([-np.sin(0.2), 0, np.cos(0.2)])
    np.testing.assert_allclose(
        gravity_from_imu(imu(False, force)), [np.sin(0.2), 0, -np.cos(0.2)], atol=1e-12
    )
    with pytest.raises(MessageError, match="not gravity; give it in m/s², not in g"):
        gravity_from_imu(imu(False, (0.0, 0.0, 1.0)))


@pytest.mark.parametrize("component", [0.0, np.nan])
def test_an_orientation_that_a_driver_does_not_have_gives_way_to_the_acceleration(component):
    """Zeros, or NaN while an INS is not aligned yet (septentrio_gnss_driver)."""
    unset = imu(True, 9.81 * np.array([-np.sin(0.2), 0, np.cos(0.2)]))
    unset.orientation = Message(x=component, y=component, z=component, w=component)
    np.testing.assert_allclose(gravity_from_imu(unset), [np.sin(0.2), 0, -np.cos(0.2)], atol=1e-12)


def test_an_attitude_with_a_rough_variance_counts():
    """MAVROS gives 1 rad² for sound ones."""
    attitude = imu(True, (0.0, 0.0, 9.81), pitch_rad=0.2)
    attitude.orientation_covariance[0] = attitude.orientation_covariance[4] = 1.0
    np.testing.assert_allclose(gravity_from_imu(attitude), [np.sin(0.2), 0, -np.cos(0.2)], atol=1e-12)


@pytest.mark.parametrize("unknown", [(1000.0, 1000.0), (0.01, (2 * np.pi) ** 2)])
def test_headings_of_gnss_receivers_are_not_level(unknown):
    """Dual antennas as an Imu: navheading of ublox_gps; that of Septentrio receivers knows roll or pitch, too."""
    heading = imu(True, 9.81 * np.array([-np.sin(0.2), 0, np.cos(0.2)]), yaw_rad=0.5)
    heading.orientation_covariance[0], heading.orientation_covariance[4] = unknown
    np.testing.assert_allclose(gravity_from_imu(heading), [np.sin(0.2), 0, -np.cos(0.2)], atol=1e-12)
    heading.linear_acceleration_covariance[0] = -1.0
    with pytest.raises(MessageError, match="as headings of GNSS receivers do; connect another IMU"):
        gravity_from_imu(heading)
    heading.linear_acceleration_covariance[0], heading.linear_acceleration = 0.0, Message(x=0.0, y=0.0, z=0.0)
    with pytest.raises(MessageError, match="no roll and pitch, and its acceleration"):
        gravity_from_imu(heading)


@pytest.mark.parametrize("latitude_deg", [60.0, 48.137, 31.0, -33.9])
def test_geocentric_odometry_is_refused_before_its_lean_shows(latitude_deg):
    """As of FP_ECEF (Fixposition) and earth (MicroStrain): beyond 30° of latitude it leans less than an axis mix-up."""
    lean = Rotation.from_euler("x", 90.0 - latitude_deg, degrees=True).as_quat()
    z_m = 6.37e6 * np.sin(np.radians(latitude_deg))
    pose = Message(
        position=Message(x=4e6, y=1e6, z=z_m), orientation=Message(**dict(zip("xyzw", lean, strict=True)))
    )
    message = Message(header=Message(frame_id="FP_ECEF"), pose=Message(pose=pose))
    with pytest.raises(MessageError, match=r"Odometry is at z = .* km in 'FP_ECEF': geocentric coordinates"):
        pose_from_odometry(message)
