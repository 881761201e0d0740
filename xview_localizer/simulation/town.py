"""A procedural town that can be rendered from the street and from the air."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.geometry.grid import Bounds, RasterGrid
from xview_localizer.simulation.capture import Capture
from xview_localizer.simulation.classic_ground import paint_classic_ground
from xview_localizer.simulation.classic_layout import make_classic_layout
from xview_localizer.simulation.families import FAMILIES
from xview_localizer.simulation.family_ground import paint_family_grounds
from xview_localizer.simulation.family_layout import make_family_layout
from xview_localizer.simulation.ground import Ground
from xview_localizer.simulation.layout import Car, Layout
from xview_localizer.simulation.mesh import (
    Mesh,
    MeshBuilder,
    add_box,
    add_building,
    add_car,
    add_tree,
)
from xview_localizer.simulation.render import Scene
from xview_localizer.simulation.repeating import make_repeating_layout
from xview_localizer.simulation.solids import add_house, add_plant, add_solid
from xview_localizer.simulation.style import TownStyle
from xview_localizer.simulation.view import StreetView

SIZE_M = 200.0
# From the start of an orthophoto's ray to the ground: above all buildings, and low, since Embree works in float32.
RAY_LENGTH_M = 60.0
FELLED_SHARE = 0.06  # of plants, removed between the view from the street and the one from the air
CAR_STAYS_SHARE = 0.35  # of parked cars that are seen both from the street and from the air


class TownError(RuntimeError):
    """A town has no room for the requested route or images; another seed or a larger town may have."""


@dataclass(frozen=True)
class Town(StreetView):
    """One town. The cars seen from the air differ from those seen from the street, except for a few."""

    seed: int
    layout: Layout
    ground: Ground
    parked: np.ndarray  # [slots] bool, whether a car stands there as seen from the street
    street_scene: Scene
    aerial_scene: Scene
    weathers: tuple[str, ...] = ()  # that its street views draw; see Family

    @classmethod
    def generate(cls, seed: int, size_m: float = SIZE_M, style: TownStyle | None = None) -> Town:
        """Make a town; the same seed, size and style give the same town."""
        rng = np.random.default_rng((seed, 1))
        style = style or TownStyle.sample(rng)
        layout = (make_repeating_layout if style.repeat_m else make_classic_layout)(rng, style, size_m)
        ground = paint_classic_ground(rng, layout)
        parked = _parked(rng, layout)
        scenes = (Scene(ground, _mesh(layout, cars, seed)) for cars in parked)
        return cls(seed, layout, ground, parked[0], *scenes)

    @classmethod
    def of_family(cls, seed: int, family: str, size_m: float = SIZE_M) -> Town:
        """Make a town of a street family by its name; "classic" is `generate`. Raises KeyError."""
        habits = FAMILIES[family]
        if habits is None:
            return cls.generate(seed, size_m)
        rng = np.random.default_rng((seed, list(FAMILIES).index(family), 4))
        style = replace(
            TownStyle.sample(rng),
            repeat_m=0,
            parked_car_share=float(rng.uniform(*habits.parked_share)),
            wear=float(rng.uniform(*habits.wear)),
            irregularity=float(rng.uniform(*habits.irregularity)),
        )
        layout = make_family_layout(rng, habits, style, size_m)
        grounds = paint_family_grounds(rng, layout)
        cars = _parked(rng, layout)
        felled = rng.random(len(layout.elements.plants)) < FELLED_SHARE
        standing = (plant for plant, gone in zip(layout.elements.plants, felled, strict=True) if not gone)
        later = replace(layout.elements, plants=tuple(standing))
        layouts = (layout, replace(layout, elements=later))
        scenes = (Scene(g, _mesh(town, c, seed)) for g, town, c in zip(grounds, layouts, cars, strict=True))
        return cls(seed, layout, grounds[0], cars[0], *scenes, habits.weathers)

    def with_parked(self, parked: np.ndarray) -> Town:
        """The same town with other cars [slots] seen from the street."""
        scene = Scene(self.ground, _mesh(self.layout, parked, self.seed))
        return replace(self, parked=parked, street_scene=scene)

    def render_orthophoto(
        self,
        bounds: Bounds,
        metres_per_pixel: float,
        capture: Capture,
        rng: np.random.Generator,
        lean_sigma: float = 0.08,
    ) -> AerialImage:
        """North-up aerial image of `bounds`; tall objects lean a little, as in a real orthophoto.

        `lean_sigma` is the standard deviation of the tangent of that lean, east and north.
        """
        rows, columns = round(bounds.height_m / metres_per_pixel), round(bounds.width_m / metres_per_pixel)
        fine = RasterGrid(bounds.west_m, bounds.north_m, metres_per_pixel / 2, 2 * rows, 2 * columns)
        lean = rng.normal(0, lean_sigma, 2)
        direction = np.array([*lean, -1.0])
        direction /= np.linalg.norm(direction)
        linear = np.empty((fine.rows * fine.columns, 3), np.float32)
        centres = fine.cell_centres_xy_m
        for chunk in np.array_split(np.arange(len(centres)), max(1, len(centres) // 400_000)):
            ground = np.column_stack([centres[chunk], np.zeros(len(chunk))])
            start = ground - RAY_LENGTH_M * direction
            rays = np.broadcast_to(direction, start.shape)
            hits = self.aerial_scene.cast(start, rays)
            pixel_rad = fine.spacing_m / RAY_LENGTH_M
            linear[chunk] = self.aerial_scene.shade(start, rays, hits, pixel_rad, capture)
        coarse = cv2.resize(
            linear.reshape(fine.rows, fine.columns, 3), (columns, rows), interpolation=cv2.INTER_AREA
        )
        image = capture.develop(coarse, rng)
        grid = RasterGrid(bounds.west_m, bounds.north_m, metres_per_pixel, rows, columns)
        return AerialImage(image, np.ones((rows, columns), dtype=bool), grid)


def _parked(rng: np.random.Generator, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Whether a car stands in each slot [slots], as seen from the street and from the air at another hour."""
    share = layout.style.parked_car_share
    stays = rng.random(len(layout.car_slots)) < share * CAR_STAYS_SHARE
    leaves = share * (1 - CAR_STAYS_SHARE)
    from_street = stays | (rng.random(len(stays)) < leaves)
    from_air = stays | (rng.random(len(stays)) < leaves)
    return from_street, from_air


def _mesh(layout: Layout, parked: np.ndarray, seed: int) -> Mesh:
    rng = np.random.default_rng((seed, 2))
    builder = MeshBuilder()

    def shape_rng() -> np.random.Generator:
        # In repeating streets all houses, and all trees, have the same shape.
        return np.random.default_rng((seed, 2)) if layout.style.repeat_m else rng

    for building in layout.buildings:
        add_building(builder, building, shape_rng())
    for tree in layout.trees:
        add_tree(builder, tree, shape_rng())
    for box in layout.boxes:
        add_box(builder, box)
    if layout.elements:
        for house in layout.elements.houses:
            add_house(builder, house)
        for plant in layout.elements.plants:
            add_plant(builder, plant)
        for solid in layout.elements.solids:
            add_solid(builder, solid)
    for slot, there in zip(layout.car_slots, parked, strict=True):
        rgb = rng.uniform(20, 235) + rng.normal(0, 25, 3) * (rng.random() < 0.4)
        height_m = rng.uniform(1.4, 1.9)
        if there:
            add_car(builder, Car(slot, height_m, np.clip(rgb, 10, 245)))
    return builder.build()
