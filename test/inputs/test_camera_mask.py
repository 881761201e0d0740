"""Masks of the robot's own body: from the user's file to the camera that the localizer takes."""

import cv2
import numpy as np
import pytest

from xview_localizer.geometry.masked_camera import MaskedCamera
from xview_localizer.geometry.pose import Prior
from xview_localizer.inputs.camera_mask import camera_masks
from xview_localizer.inputs.intake import DriveIntake
from xview_localizer.inputs.messages import MessageError
from xview_localizer.parameters.settings import Settings
from xview_localizer.parameters.table import SettingsError

REQUIRED = {"datum.latitude_deg": 48.0, "datum.longitude_deg": 11.0, "map.source": "map.tif"}


class Message:
    def __init__(self, **fields):
        self.__dict__.update(fields)


def camera_info(width=64, height=48):
    return Message(
        header=Message(stamp=Message(sec=1, nanosec=0), frame_id="camera"),
        width=width, height=height, distortion_model="plumb_bob", d=[0.0] * 5,
        k=[32.0, 0.0, 31.5, 0.0, 32.0, 23.5, 0.0, 0.0, 1.0], binning_x=0, binning_y=0,
        roi=Message(x_offset=0, y_offset=0, width=0, height=0),
    )  # fmt: skip


@pytest.fixture
def bonnet(tmp_path):
    """The mask of a bonnet in the lower third, with a grey edge as image editors draw it."""
    grey = np.full((48, 64), 255, np.uint8)
    grey[32:], grey[31] = 3, 150
    cv2.imwrite(str(tmp_path / "bonnet.png"), grey)
    return tmp_path / "bonnet.png"


def test_the_camera_of_the_intake_is_masked(bonnet):
    intake = DriveIntake(None, Settings.from_values({**REQUIRED, "camera.mask": str(bonnet)}))
    intake.on_camera_info(camera_info())
    camera = intake.cameras[""]
    assert isinstance(camera, MaskedCamera)
    assert camera.shows_world[:32].all() and not camera.shows_world[32:].any()


def test_the_masked_camera_stays_while_its_camera_info_does(bonnet):
    """What is computed once for a camera, such as how its pixels are resampled, then need not be computed again."""
    intake = DriveIntake(None, Settings.from_values({**REQUIRED, "camera.mask": str(bonnet)}))
    intake.on_camera_info(camera_info())
    first = intake.cameras[""]
    intake.on_camera_info(camera_info())
    assert intake.cameras[""] is first
    zoomed = camera_info()
    zoomed.k[0] = zoomed.k[4] = 40.0
    intake.on_camera_info(zoomed)
    assert intake.cameras[""].camera.fx == 40.0


def test_of_several_cameras_each_has_its_own(bonnet):
    given = {"cameras": ("front", "left"), "camera.front.mask": str(bonnet)}
    assert list(camera_masks(Settings.from_values({**REQUIRED, **given}))) == ["front"]
    with pytest.raises(SettingsError, match=r"camera\.mask is of one camera; give camera\.front\.mask"):
        Settings.from_values({**REQUIRED, "cameras": ("front", "left"), "camera.mask": str(bonnet)})


def test_camera_info_of_another_size_is_refused_and_names_the_mask(bonnet):
    intake = DriveIntake(None, Settings.from_values({**REQUIRED, "camera.mask": str(bonnet)}))
    with pytest.raises(MessageError, match=r"camera\.mask does not belong .* 64 × 48 .* 72 × 48.*its topic"):
        intake.on_camera_info(camera_info(72, 48))


def test_files_that_are_no_masks_are_refused_by_name(bonnet, tmp_path):
    def read(path):
        return camera_masks(Settings.from_values({**REQUIRED, "camera.mask": str(path)}))

    with pytest.raises(SettingsError, match=r"camera\.mask: .*nowhere\.png is missing or cannot be read"):
        read(tmp_path / "nowhere.png")
    swapped = tmp_path / "swapped.png"
    cv2.imwrite(str(swapped), np.pad(np.full((8, 64), 255, np.uint8), ((0, 40), (0, 0))))
    with pytest.raises(SettingsError, match="covers 83 % of the image; black marks the robot"):
        read(swapped)


def test_a_masked_robot_does_not_change_where_the_rest_is_found(small_town, localizer):
    height, width = small_town.image.shape[:2]
    shows_world = np.ones((height, width), bool)
    shows_world[height * 3 // 5 :, width // 3 : width * 2 // 3] = False
    image = small_town.image.copy()
    noise = np.random.default_rng(3).integers(0, 255, image.shape, dtype=np.uint8)
    image[~shows_world] = noise[~shows_world]
    view = small_town.view(image=image, camera=MaskedCamera(small_town.camera, shows_world))
    whole, masked = localizer.observe(small_town.view()), localizer.observe(view)
    assert 0.5 * len(whole.ground_xy_m) < len(masked.ground_xy_m) < 0.9 * len(whole.ground_xy_m)
    truth = small_town.pose
    prior = Prior(truth.x_m + 4.0, truth.y_m - 3.0, 15.0)
    fix = localizer.localize(view, prior)
    assert np.hypot(fix.x_m - truth.x_m, fix.y_m - truth.y_m) < 1.0
    # Under the mask may be whatever there is; pixels on its edge are interpolated.
    image[~shows_world] = 0
    other = localizer.localize(view, prior)
    assert np.hypot(other.x_m - fix.x_m, other.y_m - fix.y_m) < 0.1
