"""An observation of two ground cells, for tests of what is published and drawn of one."""

import numpy as np

from xview_localizer.observation import Observation

OBSERVATION = Observation(
    ground_xy_m=np.array([[5.0, 3.0], [12.0, -4.0]]),
    camera_xy_m=np.array([1.0, 0.5]),
    descriptor=np.zeros((2, 4), np.float32),
    dustbin=np.zeros(2, np.float32),
    covered_area=np.ones(2),
    scale_known=True,
    depth_source="network",
    stamp_sec=7.0,
)
