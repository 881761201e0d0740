"""The graph of a depth package: an image in, a depth for each pixel out, whatever form the graph gives it in."""

from __future__ import annotations

import numpy as np

from xview_localizer.engines.engine import Engine, EngineError, TensorSpec
from xview_localizer.geometry.camera import CameraModel
from xview_localizer.geometry.point_map import recovered_shift
from xview_localizer.models.depth_package import DepthForm, DepthInput, DepthSpec

MASKED_UP_TO = 0.5  # of a mask in [0, 1]: such pixels have no depth
SHIFT_STEP_PX = 8  # one pixel in 64 is enough for the one number that is recovered from all


class DepthGraph:
    """An opened graph and what depth.yaml says of it. Raises EngineError where the graph is not as declared."""

    def __init__(self, engine: Engine, spec: DepthSpec) -> None:
        self._engine, self._spec = engine, spec
        self.input = _image_input(engine, spec.input)
        self._output = _output(engine, spec.output, "the depth")
        _check_raster(self._output.name, self._output.shape, spec.form)
        for name, meaning in ((spec.mask, "the mask"), (spec.scale, "the scale")):
            if name:
                _output(engine, name, meaning)

    def depth(self, image: np.ndarray, camera: CameraModel) -> np.ndarray:
        """Depth [rows, columns] of an RGB image [rows_px, columns_px, 3] uint8 of `camera`, NaN where there is none.

        It lies along the optical axis or along the ray, as the spec declares. Raises EngineError.
        """
        form, outputs = self._spec.form, self._engine.run({self.input.name: self._pixels(image)})
        values = _raster(outputs, self._output.name, form)
        if self._spec.mask:
            mask = _raster(outputs, self._spec.mask, DepthForm.DEPTH)
            if mask.shape[:2] != values.shape[:2]:
                raise EngineError(
                    f"the mask {self._spec.mask!r} has {mask.shape[:2]} pixels, the depth {values.shape[:2]}"
                )
            values = np.where(mask > MASKED_UP_TO, values, np.nan)
        if form is DepthForm.AFFINE_POINT_MAP:
            values = values + (0.0, 0.0, _shift(values, camera))
        along_ray = form is not DepthForm.DEPTH and not self._spec.planar
        depth = np.linalg.norm(values, axis=-1) if along_ray else values[..., -1]
        return (depth * _scale(outputs, self._spec.scale)).astype(np.float32)

    def _pixels(self, image: np.ndarray) -> np.ndarray:
        declared = self._spec.input
        pixels = (image.astype(np.float32) / 255 - declared.mean) / declared.std
        array = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=self.input.dtype)
        return array.reshape(*[1] * (len(self.input.shape) - 3), *array.shape)


def _image_input(engine: Engine, image: DepthInput) -> TensorSpec:
    """The engine's image input. Raises EngineError where the graph does not take `image`."""
    if len(engine.inputs) != 1:
        raise EngineError(
            f"a depth graph must have one input, this one has {[spec.name for spec in engine.inputs]}; "
            "models import depth --constant NAME=NUMBER builds the value of another into the graph"
        )
    spec = engine.inputs[0]
    # Axes of images or views, of which there is one, come before the colours.
    sizes = (*[1] * (len(spec.shape) - 3), 3, image.rows_px, image.columns_px)
    fits = len(spec.shape) == len(sizes) and all(
        size is None or size == wanted for size, wanted in zip(spec.shape, sizes, strict=True)
    )
    if not fits:
        raise EngineError(
            f"depth.yaml declares an image {image.shape}, the graph takes {spec.name!r} of shape {spec.shape}"
        )
    if not np.issubdtype(spec.dtype, np.floating):
        raise EngineError(f"a depth graph must take colours as floating point, {spec.name!r} is {spec.dtype}")
    return spec


def _output(engine: Engine, name: str, meaning: str) -> TensorSpec:
    """The engine's output of that name, or its only one. Raises EngineError where there is none."""
    named = {spec.name: spec for spec in engine.outputs}
    if not name and len(named) > 1:
        raise EngineError(f"the graph has the outputs {', '.join(named)}; name the one that is {meaning}")
    if name and name not in named:
        raise EngineError(f"the graph has no output {name!r} for {meaning}; it has {', '.join(named)}")
    return named[name] if name else engine.outputs[0]


def _check_raster(name: str, shape: tuple[int | None, ...], form: DepthForm) -> None:
    """Raise EngineError where an output of that shape (None: free) cannot be a raster of what the form declares."""
    if form is DepthForm.DEPTH:
        declared, others = "one number a pixel, [1, 1, rows, columns]", shape[:-2]
        fits = len(shape) >= 2
    else:
        declared, others = "a point a pixel, [1, 3, rows, columns] or [1, rows, columns, 3]", shape[:-3]
        fits = _xyz_axis(shape) is not None
    if not fits or any(size not in (1, None) for size in others):
        raise EngineError(
            f"the form {form.value} is {declared}, and the graph's {name!r} has the shape {shape}"
        )


def _xyz_axis(shape: tuple[int | None, ...]) -> int | None:
    """The axis of x, y and z in a point map of that shape; None where there is none."""
    return next((axis for axis in (-1, -3) if len(shape) >= 3 and shape[axis] in (3, None)), None)


def _raster(outputs: dict[str, np.ndarray], name: str, form: DepthForm) -> np.ndarray:
    """An output as float32 [rows, columns, 1 or 3]. Raises EngineError where it has another shape."""
    array = np.asarray(outputs[name], dtype=np.float32)
    _check_raster(name, array.shape, form)
    if form is DepthForm.DEPTH:
        return array.reshape(*array.shape[-2:], 1)
    return np.moveaxis(array.reshape(array.shape[-3:]), _xyz_axis(array.shape), -1)


def _shift(points: np.ndarray, camera: CameraModel) -> float:
    """What an affine point map [rows, columns, 3] of the camera's image lacks along z."""
    (rows, columns), step = points.shape[:2], slice(SHIFT_STEP_PX // 2, None, SHIFT_STEP_PX)
    u, v = np.meshgrid(
        (np.arange(columns) + 0.5)[step] * camera.width / columns,
        (np.arange(rows) + 0.5)[step] * camera.height / rows,
    )
    rays = camera.rays(np.column_stack([u.ravel(), v.ravel()]))
    return recovered_shift(points[step, step].reshape(-1, 3), rays)


def _scale(outputs: dict[str, np.ndarray], name: str) -> float:
    """The factor that the output `name` gives for the image; 1 without one. Raises EngineError."""
    if not name:
        return 1.0
    if outputs[name].size != 1:
        raise EngineError(
            f"a scale is one number for the image, and {name!r} has the shape {outputs[name].shape}"
        )
    return float(outputs[name].item())
