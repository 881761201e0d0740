"""The style of a town, drawn from its seed: proportions, colours, and shares of its elements."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

RGB = tuple[float, float, float]
REPEAT_M = (12, 14, 16, 18)  # the widths of plots of terraced or small detached houses


@dataclass(frozen=True)
class TownStyle:
    """Proportions, shares and colours of one town. Lengths are in metres, colours RGB in [0, 255]."""

    streets_along: int
    streets_across: int
    street_spacing_m: float
    bend: float  # amplitude of the streets' curves, metres
    road_width_m: float
    kerb: bool
    pavement_width_m: float  # 0 = none
    verge_width_m: float  # grass between kerb and pavement
    centre_line: str  # "none", "dashed", "solid", "double"
    edge_lines: bool
    yellow_lines: bool
    crosswalk_share: float  # of junction mouths
    setback_m: float
    building_spacing_m: float
    building_depth_m: float
    storeys: tuple[int, int]
    flat_roof_share: float
    driveway_share: float
    hedge_share: float
    tree_density: float  # per 100 m² of open ground
    conifer_share: float  # of trees
    woods: int  # dense stands of trees
    fields: int  # ploughed or grown parcels
    open_ground: str  # "grass", "soil" or "pavement"
    street_tree_spacing_m: float  # 0 = none
    parked_car_share: float  # of kerbside slots
    car_park_share: float
    asphalt: RGB
    pavement: RGB
    grass: RGB
    soil: RGB
    roughness: float  # contrast of the ground's noise
    wear: float  # of markings, 0 = fresh
    irregularity: float = 1.0  # number of repairs, cracks, manholes and bare spots, 1 = usual
    apron_share: float = 0.5  # of buildings with a paved or bare strip around them
    repeat_m: int = 0  # period of everything along the streets; 0 = irregular

    @classmethod
    def sample(cls, rng: np.random.Generator) -> TownStyle:
        """A random style of a rural, suburban or urban town."""
        kind = rng.choice(["rural", "suburb", "urban"], p=[0.25, 0.45, 0.3])
        rural, urban = kind == "rural", kind == "urban"
        grey = rng.uniform(70, 140)
        light = rng.uniform(125, 205)
        paved = not rural and rng.random() < 0.9
        open_grounds = [0.45, 0.1, 0.45] if urban else [0.85, 0.15, 0.0]

        def tint(colour, spread=8.0) -> RGB:
            return tuple(float(c) for c in np.clip(np.asarray(colour) + rng.normal(0, spread, 3), 20, 235))

        dry = rng.random()
        return cls(
            streets_along=int(rng.integers(1, 3) if rural else rng.integers(2, 4)),
            streets_across=int(rng.integers(0, 2) if rural else rng.integers(2, 4)),
            street_spacing_m=float(rng.uniform(50, 70) if urban else rng.uniform(60, 95)),
            bend=float(rng.choice([0.0, 3.0, 8.0, 14.0], p=[0.35, 0.25, 0.25, 0.15])),
            road_width_m=float(rng.uniform(4.5, 8) if rural else rng.uniform(5.5, 13)),
            kerb=bool(paved or (not rural and rng.random() < 0.5)),
            pavement_width_m=float(rng.uniform(1.2, 4.5)) if paved else 0.0,
            verge_width_m=float(rng.uniform(0.8, 3.5)) if not urban and rng.random() < 0.55 else 0.0,
            centre_line=str(rng.choice(["none", "dashed", "solid", "double"], p=[0.2, 0.4, 0.2, 0.2])),
            edge_lines=bool(rng.random() < 0.45),
            yellow_lines=bool(rng.random() < 0.35),
            crosswalk_share=float(0.0 if rural else rng.uniform(0.1, 0.8)),
            setback_m=float(rng.uniform(1, 4) if urban else rng.uniform(5, 12)),
            building_spacing_m=float(rng.uniform(0.5, 5) if urban else rng.uniform(4, 14)),
            building_depth_m=float(rng.uniform(9, 16)),
            storeys=(2, 6) if urban else (1, 2),
            flat_roof_share=float(rng.uniform(0.5, 1) if urban else rng.uniform(0, 0.35)),
            driveway_share=float(0.2 if urban else rng.uniform(0.4, 0.9)),
            hedge_share=float(rng.uniform(0, 0.5)),
            tree_density=float(rng.uniform(0.15, 0.9) if rural else rng.uniform(0.03, 0.35)),
            conifer_share=float(rng.choice([0.0, 0.3, 0.9], p=[0.5, 0.35, 0.15])),
            woods=int(rng.integers(0, 5) if rural else rng.choice([0, 1, 2], p=[0.7, 0.2, 0.1])),
            fields=int(rng.integers(0, 6) if rural else 0),
            open_ground=str(rng.choice(["grass", "soil", "pavement"], p=open_grounds)),
            street_tree_spacing_m=float(rng.choice([0.0, 8.0, 14.0], p=[0.45, 0.2, 0.35])),
            parked_car_share=float(0.02 if rural else rng.uniform(0.05, 0.5)),
            car_park_share=float(0.05 if rural else rng.uniform(0.05, 0.3)),
            asphalt=tint((grey, grey, grey + 2), 4),
            pavement=tint((light, light - 4, light - 10), 6),
            grass=tint((70 + 80 * dry, 98 + 30 * dry, 48 + 30 * dry)),
            soil=tint((140, 118, 92), 9),
            roughness=float(rng.uniform(0.6, 1.6)),
            wear=float(rng.uniform(0.05, 0.7)),
        )

    @classmethod
    def repeating(cls, rng: np.random.Generator) -> TownStyle:
        """A random style of straight streets that repeat one house, one tree and one dash; see repeating.py.

        Features by which two periods differ are rare: about one repair or stain and one vacant plot in 70 m, and few
        parked cars.
        """
        return replace(
            cls.sample(rng),
            repeat_m=int(rng.choice(REPEAT_M)),
            streets_along=int(rng.integers(1, 4)),
            streets_across=0,
            street_spacing_m=float(rng.uniform(75, 95)),
            bend=0.0,
            road_width_m=float(rng.uniform(6, 9)),
            kerb=True,
            pavement_width_m=float(rng.uniform(1.2, 3)),
            verge_width_m=float(rng.choice([0.0, 1.5])),
            centre_line="dashed",
            crosswalk_share=0.0,
            setback_m=float(rng.uniform(3.5, 6)),
            building_spacing_m=float(rng.choice([0.0, 4.0])),
            building_depth_m=float(rng.uniform(8, 11)),
            storeys=(2, 3),
            open_ground="grass",
            parked_car_share=0.08,  # of driveways
            roughness=0.6,
            irregularity=0.25,
            apron_share=0.0,
        )
