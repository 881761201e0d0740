"""Soft assignment against the sums of its docstring, and the refinement's pull."""

import numpy as np

from xview_localizer.evaluation.synthetic_matches import ambiguous_field
from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.pose import Pose2
from xview_localizer.geometry.soft_assignment import WINDOW_CELLS, refine, soft_assignment

GRID = RasterGrid.centred(30.0, -20.0, 1.8, 21, 25)
TRUTH = Pose2(32.0, -22.0, 0.8)


def evidence_of(rng, cells=40, **ambiguity):
    field = ambiguous_field(rng, TRUTH, GRID, cells, **ambiguity)
    return field, Evidence.from_field(field, np.ones(cells, dtype=bool))


def test_targets_and_weights_are_those_sums():
    field, evidence = evidence_of(np.random.default_rng(0))
    border = 2 * WINDOW_CELLS
    ratio = field.likelihood_ratio.reshape(-1, GRID.rows, GRID.columns)
    ratio = np.pad(ratio, ((0, 0), (border, border), (border, border)), constant_values=1)
    poses = [TRUTH, Pose2(41.0, -10.0, -2.0)]
    kernel_cells, scale = 1.3, 1.05
    a = np.array([scale * np.exp(1j * pose.yaw_rad) for pose in poses])
    t = np.array([pose.x_m + 1j * pose.y_m for pose in poses])
    target, weight = soft_assignment(evidence, a, t, kernel_cells)
    step = np.arange(-WINDOW_CELLS, WINDOW_CELLS + 1)
    outside = 0
    for h, pose in enumerate(poses):
        uv = GRID.uv_from_xy(pose.transform(scale * field.lifted_xy_m)) - 0.5
        for n, (u, v) in enumerate(uv):
            column, row = np.rint(uv[n]).astype(int)
            if not (-WINDOW_CELLS <= column < GRID.columns + WINDOW_CELLS) or not (
                -WINDOW_CELLS <= row < GRID.rows + WINDOW_CELLS
            ):
                assert weight[h, n] == 0
                outside += 1
                continue
            k_column = np.exp(-0.5 * ((column + step - u) / kernel_cells) ** 2)
            k_row = np.exp(-0.5 * ((row + step - v) / kernel_cells) ** 2)
            window = ratio[n][np.ix_(row + step + border, column + step + border)]
            excess = np.maximum(field.inlier_probability[n] * (window - 1), 0)
            mass = np.outer(k_row / k_row.sum(), k_column / k_column.sum()) * excess
            assert np.isclose(weight[h, n], mass.sum() / (1 + mass.sum()), atol=1e-4)
            if mass.sum() > 1e-3:
                centre = np.array([mass.sum(0) @ (column + step), mass.sum(1) @ (row + step)]) / mass.sum()
                expected = GRID.xy_from_uv(centre + 0.5) @ [1, 1j]
                assert abs(target[h, n] - expected) < 2e-3
    assert 3 < outside < 30


def test_refinement_pulls_a_pose_a_metre_off_into_place_and_leaves_one_off_the_map():
    rng = np.random.default_rng(1)
    _, evidence = evidence_of(rng, 200, present=1.0, distractors=0, contrast=6.0, spread_cells=0.3)
    start, away = 33.0 - 22.6j, 5000.0 + 0j
    a, t = refine(evidence, np.exp(1j * np.array([0.85, 0.3])), np.array([start, away]), (0.9, 1.1))
    assert abs(t[0] - (TRUTH.x_m + 1j * TRUTH.y_m)) < 0.1
    assert abs(np.angle(a[0]) - TRUTH.yaw_rad) < 0.01
    assert (a[1], t[1]) == (np.exp(0.3j), away)
