"""Parameters for the mountings that a recording's TF holds, for a node that cannot receive TF without tf2_msgs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from xview_localizer.geometry.levelling import R_BODY_OPTICAL, rpy_from_R_base_body
from xview_localizer.inputs import messages
from xview_localizer.inputs.mountings import MountingError, Mountings, parameter_prefix
from xview_localizer.parameters.settings import Settings
from xview_localizer.parameters.table import Value
from xview_localizer.recordings.bag import TF_ROLES, BagMessage, Drive, open_inputs


def with_mountings_of(drive: Drive, values: Mapping[str, Value | None]) -> dict[str, Value | None]:
    """`values`, completed by the mountings that TF gives at the first message of each sensor.

    A mounting that TF does not hold is left out. Raises BagError, SettingsError.
    """
    settings = Settings.from_values(values)
    mountings, wanted = Mountings(settings.mountings), set(settings.mountings.from_tf)
    found: dict[str, Value] = {}
    with open_inputs(drive, settings) as bag:
        for recorded in bag.messages():
            if not wanted - found.keys():
                break
            if recorded.kind not in ("image", "fix", "imu", *TF_ROLES):
                continue
            message = bag.decode(recorded)
            with suppress(MountingError, messages.MessageError):
                if recorded.role in TF_ROLES:
                    mountings.on_transforms(message, static=recorded.role == "tf_static")
                else:
                    found |= _mounting(mountings, recorded, message)
    return {**values, **{name: found[name] for name in wanted & found.keys()}}


def _mounting(mountings: Mountings, recorded: BagMessage, message: Any) -> dict[str, Value]:
    if recorded.role == "fix":
        return {"gnss.antenna_in_base_m": tuple(mountings.antenna_in_base_m(message.header).tolist())}
    if recorded.role == "imu":
        return {"imu.rpy_deg": _rpy_deg(mountings.R_base_imu(message.header))}
    R, t_m = mountings.camera(message.header, recorded.camera)
    prefix = parameter_prefix(recorded.camera)
    return {
        f"{prefix}.position_in_base_m": tuple(t_m.tolist()),
        f"{prefix}.rpy_deg": _rpy_deg(R @ R_BODY_OPTICAL.T),
    }


def _rpy_deg(R_base_body: np.ndarray) -> tuple[float, ...]:
    return tuple(np.degrees(rpy_from_R_base_body(R_base_body)).tolist())
