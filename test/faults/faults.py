"""The faults: the change of each to the robot's messages, map or node, and the reason that the node must report."""

from __future__ import annotations

import hashlib
import math
import shutil
import tempfile
from array import array
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from sensor_msgs.msg import CompressedImage, Image

from xview_localizer.inputs.image_messages import rgb_from_compressed_image
from xview_localizer.models.package import default_package_path

# Takes a role and its message, and gives what is published in its place; None: nothing.
Change = Callable[[str, Any], Any]
UNKNOWN_PLACE_M = 500.0
METRES_PER_DEGREE = 111_320.0
# Holds one tile of some 100 KB, not two.
FULL_DISK_KB = 160


@dataclass(frozen=True)
class Fault:
    """`reason` is a regular expression for the diagnostics, a record's reason or the log while the fault is there.

    The drive begins with the fault where `from_start`, else with some sound images. It `recovers` where the node is to
    accept poses again once the fault is over. Each image is sent `times` over, 1/60 s apart; `killed`: the node is
    killed while it works on an image, and started again. `disk_kb`: the tile cache lies on a disk of that size.
    `tf`: mountings come on /tf, with each message's stamp, and not while the fault is there.
    `starts`: the node gets active; else it has to end by itself, with the reason.
    """

    name: str
    reason: str
    change: Change | None = None
    map_mode: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    raw: bool = False
    from_start: bool = False
    recovers: bool = True
    times: int = 1
    killed: bool = False
    disk_kb: int = 0
    tf: bool = False
    starts: bool = True


def only(role: str, edit: Callable[[Any], Any]) -> Change:
    """A change of the messages of one role."""
    return lambda of, message: edit(message) if of == role else message


def with_fields(**values: Any) -> Callable[[Any], Any]:
    def edit(message: Any) -> Any:
        for name, value in values.items():
            *path, last = name.split("__")
            target = message
            for part in path:
                target = getattr(target, part)
            setattr(target, last, value)
        return message

    return edit


def absent(role: str) -> Change:
    return only(role, lambda message: None)


def shifted_stamps(offset_sec: int, roles: tuple[str, ...] = ()) -> Change:
    def change(role: str, message: Any) -> Any:
        if not roles or role in roles:
            message.header.stamp.sec += offset_sec
        return message

    return change


def moved_back(message: Any, by_sec: float) -> Any:
    """A copy of a message that is stamped earlier."""
    moved = deepcopy(message)
    stamp_ns = 10**9 * message.header.stamp.sec + message.header.stamp.nanosec - round(1e9 * by_sec)
    moved.header.stamp.sec, moved.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    return moved


def zero_stamps(role: str, message: Any) -> Any:
    message.header.stamp.sec = message.header.stamp.nanosec = 0
    return message


def frozen(role: str) -> Change:
    """Position and stamp stay those of the first message."""
    kept: list[Any] = []

    def edit(message: Any) -> Any:
        kept.append(message)
        return kept[0]

    return only(role, edit)


def picture(draw: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Another picture in an image's place."""

    def edit(message: CompressedImage) -> CompressedImage:
        rgb = np.ascontiguousarray(draw(rgb_from_compressed_image(message)))
        encoded = cv2.imencode(".jpg", rgb[..., ::-1])[1]
        message.data = array("B", encoded.tobytes())
        return message

    return only("image", edit)


def raw_image(message: CompressedImage) -> Image:
    rgb = rgb_from_compressed_image(message)
    height, width = rgb.shape[:2]
    image = Image(header=message.header, height=height, width=width, step=3 * width, encoding="rgb8")
    image.data = array("B", rgb.tobytes())
    return image


def _truncated(message: CompressedImage) -> CompressedImage:
    message.data = message.data[: len(message.data) // 3]
    return message


def _no_data(message: CompressedImage) -> CompressedImage:
    message.data = array("B")
    return message


def _jumping_odometry() -> Change:
    count = 0

    def edit(message: Any) -> Any:
        nonlocal count
        count += 1
        message.pose.pose.position.x += 40.0 * (count % 2)
        return message

    return only("odom", edit)


def _restarted_odometry() -> Change:
    first: list[tuple[float, float]] = []

    def edit(message: Any) -> Any:
        position = message.pose.pose.position
        first.append((position.x, position.y))
        position.x, position.y = position.x - first[0][0] + 300.0, position.y - first[0][1] - 300.0
        return message

    return only("odom", edit)


def _noise(image: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).normal(8.0, 3.0, image.shape).clip(0, 255).astype(np.uint8)


def _indoor(image: np.ndarray) -> np.ndarray:
    """Walls, a floor of tiles and a ceiling."""
    height, width = image.shape[:2]
    room = np.full_like(image, 190)
    room[2 * height // 3 :] = 120
    room[:: max(1, height // 24)] = 80
    room[:, :: max(1, width // 30)] = 90
    return room


NO_CALIBRATION = only("camera_info", with_fields(k=np.zeros(9)))
NAN_CALIBRATION = only("camera_info", with_fields(k=np.full(9, np.nan)))


def _fix_jump(message: Any) -> Any:
    message.latitude += UNKNOWN_PLACE_M / METRES_PER_DEGREE
    return message


def faults() -> Iterator[Fault]:
    """All of them; each call gives fresh ones, since some remember what they have seen."""
    yield from _map_faults()
    yield from _image_faults()
    yield from _sensor_faults()
    yield from _time_faults()
    yield from _model_faults()
    yield Fault("images: 60 Hz", "", times=15)
    yield Fault("node: killed and restarted", "", killed=True)


def _map_faults() -> Iterator[Fault]:
    for mode, reason in (
        ("dead", "map: .*(does not answer|broke off)"),
        ("hanging", "map: .*does not answer within"),
        ("trickling", "map: .*does not answer within"),
        ("404", "no imagery"),
        ("500", "map: .*HTTP 500"),
        ("corrupt", "map: .*cannot be decoded"),
        ("huge", "map: .*(cut short|pixels)"),
        ("flooding", "map: .*more than"),
    ):
        yield Fault(f"map server: {mode}", reason, map_mode=mode, from_start=True)
    # Slow is no fault: poses come later.
    yield Fault("map server: slow", "", map_mode="slow", from_start=True)
    yield Fault(
        "tile cache: cannot be written",
        "cannot cache",
        map_mode="cacheable",
        values={"map.cache_dir": _blocked_cache()},
        from_start=True,
    )

    yield Fault(
        "tile cache: disk full",
        "cannot cache.*No space left on device",
        map_mode="cacheable",
        disk_kb=FULL_DISK_KB,
        from_start=True,
    )


def _model_faults() -> Iterator[Fault]:
    """Half a copy, and one whose checksums were renewed by hand."""
    for renewed, name, reason in (
        (False, "model: corrupt graph", "cannot configure: .*has sha256 .*copy the package again"),
        (True, "model: corrupt graph, new checksum", "cannot configure: cannot load .*backbone"),
    ):
        values = {"model.package": _corrupt_package(renewed)}
        yield Fault(name, reason, values=values, starts=False, recovers=False)


def _corrupt_package(renewed: bool) -> str:
    """A copy of the embedded package; the second half of its backbone is zeros."""
    folder = Path(tempfile.mkdtemp(prefix="faults_model_")) / "package"
    shutil.copytree(default_package_path(), folder)
    manifest = folder / "model.yaml"
    document = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    entry = document["graphs"]["backbone"]
    graph = folder / entry["file"]
    whole = graph.read_bytes()
    graph.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    if renewed:
        entry["sha256"] = hashlib.sha256(graph.read_bytes()).hexdigest()
        manifest.write_text(yaml.safe_dump(document), encoding="utf-8")
    return str(folder)


def _blocked_cache() -> str:
    """A cache folder that takes no tile: files stand where its subfolders would be."""
    folder = Path(tempfile.mkdtemp(prefix="faults_cache_"))
    for number in range(256):
        (folder / f"{number:02x}").touch()
    return str(folder)


def _image_faults() -> Iterator[Fault]:
    yield Fault("image: truncated JPEG", "cut short|cannot be decoded", only("image", _truncated))
    yield Fault("image: no data", "cannot be decoded|is empty", only("image", _no_data))
    yield Fault("image: zero size", "0 × 0", only("image", with_fields(width=0, height=0, step=0)), raw=True)
    yield Fault("image: wrong stride", "impossible", only("image", with_fields(step=7)), raw=True)
    yield Fault("image: huge stride", "cut off", only("image", with_fields(step=2**31)), raw=True)
    yield Fault(
        "image: unknown encoding",
        "'32FC7' is not supported",
        only("image", with_fields(encoding="32FC7")),
        raw=True,
    )
    yield Fault("image: lens cap", "blank", picture(np.zeros_like))
    yield Fault("image: night", "", picture(_noise))
    yield Fault("image: indoor", "", picture(_indoor))
    yield Fault("image: upside down", "", picture(lambda image: image[::-1, ::-1]))
    yield Fault("CameraInfo: absent", "no CameraInfo", absent("camera_info"), from_start=True)
    yield Fault("CameraInfo: zero", "not calibrated", NO_CALIBRATION, from_start=True)
    yield Fault("CameraInfo: NaN", "CameraInfo", NAN_CALIBRATION, from_start=True)
    wrong_size = only("camera_info", with_fields(width=320, height=200))
    yield Fault("CameraInfo: wrong size", "its CameraInfo has 320 × 200", wrong_size, from_start=True)


def _sensor_faults() -> Iterator[Fault]:
    nan = math.nan
    yield Fault("NavSatFix: no fix", "no fix", only("fix", with_fields(status__status=-1)))
    yield Fault("NavSatFix: NaN", "not finite", only("fix", with_fields(latitude=nan)))
    yield Fault("NavSatFix: 0/0", "km from the datum", only("fix", with_fields(latitude=0.0, longitude=0.0)))
    yield Fault("NavSatFix: jump of 500 m", "", only("fix", _fix_jump))
    yield Fault("NavSatFix: frozen", "not after the previous", frozen("fix"))
    yield Fault("NavSatFix: absent", "no GNSS position|nothing on fix", absent("fix"), from_start=True)
    yield Fault(
        "NavSatFix: foreign clock",
        r"fix is stamped 18\.\d s ahead",
        shifted_stamps(18, ("fix",)),
        from_start=True,
    )
    yield Fault(
        "camera: foreign clock",
        "the camera has another clock",
        shifted_stamps(-18, ("image",)),
        from_start=True,
    )
    yield Fault("Odometry: absent", "", absent("odom"))  # not every robot has one
    yield Fault("Odometry: jumping", "jumped by", _jumping_odometry())
    yield Fault("Odometry: NaN", "not finite", only("odom", with_fields(pose__pose__position__x=nan)))
    yield Fault("Odometry: restarted", "jumped by", _restarted_odometry())
    upward = with_fields(orientation__x=1.0, orientation__y=0.0, orientation__z=0.0, orientation__w=0.0)
    yield Fault("Imu: upside down", "lean", only("imu", upward))
    no_mountings = dict.fromkeys(("camera.position_in_base_m", "camera.rpy_deg", "gnss.antenna_in_base_m"))
    yield Fault("TF: absent", "no transform|names no frame_id", values=no_mountings, recovers=False)
    yield Fault("TF: stale", "no transform .* is known from .* to ", values=no_mountings, tf=True)


def _time_faults() -> Iterator[Fault]:
    yield Fault("time: back", "", shifted_stamps(-100))
    yield Fault("time: forward", "", shifted_stamps(1000))
    yield Fault("time: zero", "not set", zero_stamps)
