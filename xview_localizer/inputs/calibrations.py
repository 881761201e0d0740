"""The camera models of the robot: from CameraInfo messages or calibration files, with its masks applied."""

from __future__ import annotations

import numpy as np

from xview_localizer.geometry.camera import CameraModel
from xview_localizer.geometry.masked_camera import MaskedCamera
from xview_localizer.inputs import messages
from xview_localizer.inputs.camera_info import CameraInfo
from xview_localizer.inputs.camera_info_file import read_camera_info
from xview_localizer.inputs.camera_mask import camera_masks
from xview_localizer.inputs.doubts import DriveDoubts
from xview_localizer.inputs.mountings import ONLY_CAMERA, parameter_prefix
from xview_localizer.parameters.settings import Settings
from xview_localizer.parameters.table import SettingsError


class Calibrations:
    """The models of those cameras whose calibration is known: from the start by a file, else from a CameraInfo on.

    Raises SettingsError where a camera's mask or file cannot be used. `doubts` receives what is accepted and new.
    """

    def __init__(self, settings: Settings, doubts: DriveDoubts) -> None:
        self._masks, self._doubts = camera_masks(settings), doubts
        self.models: dict[str, CameraModel] = {}  # by the camera's name
        self._infos: dict[str, CameraInfo] = {}  # of which the models are
        self.refusals: dict[str, str] = {}  # why the last CameraInfo was refused, by the camera's name
        for camera in settings.cameras:
            path = settings.info_path(camera)
            if path is None:
                continue
            try:
                self.on_camera_info(read_camera_info(path), camera)
            except ValueError as error:
                raise SettingsError(f"{parameter_prefix(camera)}.info_file: {path}: {error}") from error

    def on_camera_info(self, message, camera: str = ONLY_CAMERA) -> None:
        """A sensor_msgs/CameraInfo, or the same from a file. Raises MessageError.

        Drivers send the same one with every image: the model then stays, and with it what is computed once for a model.
        """
        info = CameraInfo.of(message)
        if info == self._infos.get(camera):
            return
        try:
            self._take(info, camera)
        except messages.MessageError as error:
            self.refusals[camera] = str(error)
            raise

    def _take(self, info: CameraInfo, camera: str) -> None:
        model = messages.camera_from_info(info)
        blind_share = _blind_share(model)
        if camera in self._masks:
            try:
                model = MaskedCamera(model, self._masks[camera])
            except ValueError as error:
                raise messages.MessageError(
                    f"{parameter_prefix(camera)}.mask does not belong to this camera: {error}; draw it on an image of "
                    "its topic"
                ) from error
        self.models[camera], self._infos[camera] = model, info
        self._doubts.on_camera_info(info, model.horizontal_fov_rad, blind_share, camera)


def _blind_share(model: CameraModel) -> float:
    """Share of the pixels of the middle row that have no ray."""
    columns = np.arange(model.width) + 0.5
    rays = model.rays(np.column_stack([columns, np.full(model.width, model.height / 2)]))
    return float(np.isnan(rays[:, 0]).mean())
