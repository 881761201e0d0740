"""The street families by name: kinds of places that share neither layout nor materials with one another."""

from __future__ import annotations

from dataclasses import replace

from xview_localizer.simulation.facade import Facade as F
from xview_localizer.simulation.facade import GroundFloor as G
from xview_localizer.simulation.family import Family

CLASSIC = "classic"  # TownStyle.sample: rural, suburban and urban streets of one generator

_ASPHALT = ("asphalt", (98, 98, 100))
_OLD_TOWN = Family(
    streets=((3, 5), (3, 4)), spacing_m=(34, 52), bend_m=(1, 7), skew_rad=0.16, road_width_m=(4, 7),
    road=(("setts", (120, 112, 106)), ("cobbles", (104, 100, 98)), _ASPHALT, ("slabs", (150, 142, 130))),
    pavement_m=(0, 2.2), paving=(("slabs", (168, 158, 142)), ("setts", (142, 128, 118)), ("cobbles", (150, 138, 126))),
    verge_m=(0, 0.1), open_ground=(("cobbles", (132, 124, 114)), ("grass", (88, 110, 62)), ("gravel", (168, 156, 136))),
    blocks={"perimeter": 0.8, "plaza": 0.15, "lawn": 0.05},
    walls=((222, 190, 130), (205, 150, 120), (228, 216, 196), (170, 184, 168), (188, 110, 92), (214, 206, 150), (150, 164, 190)),
    roofs=((168, 92, 66), (140, 78, 60), (92, 88, 90), (120, 104, 92)), roof_kinds=("gable", "hip", "gable", "flat"),
    facades=(F.TALL, F.TIMBER, F.PUNCHED, F.BRICK, F.SHUTTERS), ground_floors=(G.SHOPS, G.SHOPS, G.DOORS, G.ARCADE),
    storeys=(2, 5), front_m=(5, 14), depth_m=(8, 12), setback_m=(0.1, 0.6), gap_m=(0.0, 0.4),
    plants=("round", "bush", "broad", "column"), greens=((72, 98, 48), (92, 112, 60)),
    markings={"centre": 0.2, "crossings": 0.4, "stops": 0.3, "letters": 0.2, "bays": 0.2, "zigzag": 0.2, "hatching": 0.2},
    furniture={"lamp": 20, "sign": 16, "bollards": 22, "bench": 40, "bin": 32, "planter": 30, "cover": 12},
    parked_share=(0.02, 0.3), balcony_share=0.25, awning_share=0.5,
)  # fmt: skip
_DOWNTOWN = Family(
    streets=((2, 3), (2, 3)), spacing_m=(60, 90), bend_m=(0, 2), skew_rad=0.04, road_width_m=(12, 19),
    road=(_ASPHALT, ("asphalt", (72, 72, 76)), ("concrete", (160, 158, 150))),
    pavement_m=(2.5, 6), paving=(("slabs", (176, 172, 164)), ("tiles", (150, 136, 128)), ("concrete", (186, 182, 172))),
    verge_m=(0, 0.5), open_ground=(("slabs", (160, 156, 148)), ("asphalt", (110, 110, 112)), ("grass", (80, 112, 60))),
    blocks={"towers": 0.4, "perimeter": 0.3, "plaza": 0.2, "parking": 0.1},
    walls=((150, 160, 170), (196, 190, 180), (120, 104, 98), (90, 100, 112), (210, 206, 200), (156, 120, 96)),
    roofs=((130, 130, 128), (90, 90, 92), (190, 188, 184), (110, 124, 100)), roof_kinds=("flat",),
    facades=(F.CURTAIN, F.RIBBON, F.PANELS, F.PUNCHED, F.TALL, F.BRICK), ground_floors=(G.SHOPS, G.SHOPS, G.ARCADE, G.SAME),
    storeys=(3, 12), front_m=(12, 30), depth_m=(12, 18), setback_m=(0.2, 2), gap_m=(0.0, 4.0),
    plants=("round", "column", "broad", "bush"), greens=((70, 100, 52), (86, 116, 60)),
    markings={"centre": 0.9, "lanes": 0.9, "arrows": 0.9, "crossings": 0.9, "stops": 0.9, "bus": 0.4, "bike": 0.4, "letters": 0.5, "hatching": 0.5, "edges": 0.4},
    furniture={"lamp": 28, "sign": 18, "bollards": 45, "bench": 35, "bin": 30, "shelter": 70, "kiosk": 80, "planter": 40, "cabinet": 50, "cover": 14},
    parked_share=(0.05, 0.3), balcony_share=0.2, awning_share=0.3, street_tree_m=(0, 20),
)  # fmt: skip
_INDUSTRIAL = Family(
    streets=((1, 2), (1, 3)), spacing_m=(65, 100), bend_m=(0, 5), skew_rad=0.08, road_width_m=(7, 11),
    road=(("concrete", (152, 148, 140)), ("asphalt", (84, 84, 86)), ("asphalt", (122, 118, 114))),
    pavement_m=(0, 1.8), paving=(("concrete", (158, 154, 146)), ("gravel", (150, 142, 130)), ("asphalt", (100, 100, 102))),
    verge_m=(0, 3), open_ground=(("gravel", (146, 136, 120)), ("meadow", (122, 124, 78)), ("soil", (132, 112, 90))),
    blocks={"halls": 0.75, "parking": 0.15, "works": 0.1},
    walls=((150, 160, 168), (196, 196, 190), (120, 140, 160), (160, 92, 76), (110, 128, 104), (204, 176, 120)),
    roofs=((168, 170, 172), (120, 124, 128), (96, 116, 140), (150, 110, 90)), roof_kinds=("gable", "flat", "sawtooth", "shed"),
    facades=(F.CLADDING, F.PANELS, F.BLANK, F.BRICK, F.RIBBON), ground_floors=(G.GATES, G.GATES, G.SAME),
    storeys=(2, 4), front_m=(12, 40), depth_m=(12, 26), setback_m=(3, 8), gap_m=(4, 12),
    plants=("bush", "round", "column"), greens=((90, 102, 58), (104, 108, 70)),
    markings={"centre": 0.5, "edges": 0.3, "stops": 0.4, "hatching": 0.5, "letters": 0.3, "ghosts": 0.5, "arrows": 0.4},
    furniture={"lamp": 35, "sign": 35, "pole": 40, "cabinet": 50, "cover": 25, "barrier": 90},
    parked_share=(0.03, 0.3), ribbed_share=0.8,
)  # fmt: skip
_CAMPUS = Family(
    streets=((1, 2), (1, 2)), spacing_m=(70, 100), bend_m=(2, 12), skew_rad=0.2, road_width_m=(5, 8),
    road=(_ASPHALT, ("slabs", (172, 160, 144)), ("concrete", (178, 172, 162)), ("tiles", (150, 112, 96))),
    pavement_m=(1.5, 4), paving=(("tiles", (168, 128, 108)), ("slabs", (182, 174, 160)), ("setts", (140, 134, 128)), ("boards", (150, 120, 90))),
    verge_m=(0, 3), open_ground=(("mown", (92, 124, 60)), ("grass", (84, 116, 56))),
    blocks={"lawn": 0.65, "plaza": 0.2, "parking": 0.1, "woods": 0.05},
    walls=((178, 104, 84), (206, 198, 184), (160, 164, 168), (222, 220, 212), (130, 110, 96)),
    roofs=((110, 112, 112), (176, 174, 168), (96, 122, 84), (128, 90, 76)), roof_kinds=("flat", "flat", "hip", "shed"),
    facades=(F.BRICK, F.RIBBON, F.PANELS, F.CURTAIN, F.TALL), ground_floors=(G.SAME, G.ARCADE, G.SAME),
    storeys=(2, 5), front_m=(14, 34), depth_m=(10, 16), setback_m=(4, 9), gap_m=(6, 16),
    plants=("broad", "round", "conifer", "bush", "column"), greens=((70, 104, 46), (96, 120, 58), (120, 110, 56)),
    markings={"centre": 0.3, "crossings": 0.6, "bike": 0.4, "bays": 0.4, "letters": 0.3},
    furniture={"lamp": 18, "bench": 20, "bin": 28, "bollards": 30, "sign": 30, "planter": 40, "cover": 25, "kiosk": 120},
    parked_share=(0.02, 0.2), street_tree_m=(0, 14),
)  # fmt: skip
_ESTATE = Family(
    streets=((2, 3), (1, 3)), spacing_m=(55, 80), bend_m=(3, 14), skew_rad=0.14, road_width_m=(5, 8),
    road=(_ASPHALT, ("asphalt", (132, 128, 124)), ("setts", (150, 118, 104)), ("concrete", (178, 172, 160))),
    pavement_m=(0, 2.2), paving=(("slabs", (178, 170, 160)), ("setts", (160, 120, 104)), ("concrete", (184, 178, 168))),
    verge_m=(0, 3.5), open_ground=(("grass", (90, 122, 58)), ("mown", (100, 126, 66)), ("meadow", (128, 132, 76))),
    blocks={"detached": 0.85, "woods": 0.05, "lawn": 0.1},
    walls=((226, 220, 208), (186, 120, 96), (206, 190, 160), (160, 170, 176), (120, 96, 80), (210, 206, 130)),
    roofs=((150, 80, 62), (86, 84, 88), (124, 108, 96), (104, 92, 84), (156, 120, 90)), roof_kinds=("gable", "hip", "gable", "shed"),
    facades=(F.PUNCHED, F.BRICK, F.SHUTTERS, F.TIMBER), ground_floors=(G.DOORS, G.DOORS, G.SAME),
    storeys=(1, 3), front_m=(8, 16), depth_m=(7, 11), setback_m=(4, 9), gap_m=(3, 9),
    plants=("round", "bush", "broad", "conifer", "column"), greens=((74, 104, 48), (100, 120, 60), (120, 84, 66)),
    markings={"centre": 0.3, "stops": 0.3, "letters": 0.1, "crossings": 0.2},
    furniture={"lamp": 32, "pole": 42, "bin": 18, "sign": 45, "cabinet": 60, "cover": 40}, parked_share=(0.1, 0.5),
    balcony_share=0.1, street_tree_m=(0, 16),
)  # fmt: skip
_CAR_PARK = replace(
    _DOWNTOWN, road_width_m=(7, 12), blocks={"parking": 0.85, "lawn": 0.15}, storeys=(1, 3), ribbed_share=0.5,
    facades=(F.CLADDING, F.PANELS, F.CURTAIN, F.BLANK), roof_kinds=("flat", "flat", "gable"),
    walls=((214, 212, 206), (180, 60, 56), (60, 90, 150), (200, 180, 140), (120, 124, 128)), verge_m=(0, 3),
    open_ground=(("grass", (96, 124, 62)), ("gravel", (150, 144, 132))), parked_share=(0.2, 0.6),
    furniture={"lamp": 30, "sign": 22, "bin": 40, "planter": 40, "barrier": 90, "cover": 30},
)  # fmt: skip
_COUNTRY = Family(
    streets=((1, 1), (1, 2)), spacing_m=(70, 100), bend_m=(4, 16), skew_rad=0.3, road_width_m=(3, 6),
    road=(("gravel", (164, 150, 128)), ("soil", (146, 122, 94)), ("asphalt", (112, 110, 106))),
    pavement_m=(0, 0), paving=(("gravel", (160, 148, 126)), ("soil", (140, 118, 92))), verge_m=(0.5, 3),
    open_ground=(("meadow", (112, 124, 66)), ("grass", (96, 120, 58)), ("meadow", (152, 142, 90))),
    blocks={"fields": 0.65, "woods": 0.25, "detached": 0.1},
    walls=((150, 140, 124), (118, 84, 62), (196, 190, 176), (140, 60, 50)),
    roofs=((120, 84, 68), (130, 130, 128), (96, 90, 84), (150, 120, 92)), roof_kinds=("gable", "gable", "shed"),
    facades=(F.BLANK, F.PUNCHED, F.TIMBER, F.CLADDING), ground_floors=(G.GATES, G.DOORS), storeys=(1, 2),
    front_m=(9, 18), depth_m=(7, 10), setback_m=(5, 12), gap_m=(14, 30),
    plants=("broad", "round", "conifer", "bush", "bare"), greens=((68, 92, 44), (96, 106, 54), (126, 112, 58)),
    markings={"edges": 0.1, "centre": 0.1}, furniture={"pole": 36, "sign": 90, "tree": 24, "bollards": 60},
    parked_share=(0.0, 0.02), ribbed_share=0.5, irregularity=(0.8, 2.2),
)  # fmt: skip
_DRY = Family(
    streets=((2, 3), (2, 3)), spacing_m=(45, 70), bend_m=(1, 9), skew_rad=0.15, road_width_m=(5, 9),
    road=(("soil", (184, 120, 82)), ("gravel", (190, 160, 124)), ("asphalt", (128, 118, 108)), ("soil", (196, 172, 132))),
    pavement_m=(0, 1.5), paving=(("concrete", (196, 182, 160)), ("soil", (190, 150, 112)), ("tiles", (186, 130, 104))),
    verge_m=(0, 3), open_ground=(("soil", (188, 134, 96)), ("soil", (204, 180, 140)), ("gravel", (178, 156, 126))),
    blocks={"compounds": 0.8, "fields": 0.08, "works": 0.12},
    walls=((236, 228, 212), (226, 180, 120), (140, 180, 196), (224, 150, 130), (200, 206, 150), (190, 140, 104)),
    roofs=((176, 176, 178), (160, 96, 70), (120, 140, 150), (204, 196, 180)), roof_kinds=("flat", "shed", "gable"),
    facades=(F.SHUTTERS, F.BLANK, F.PUNCHED), ground_floors=(G.DOORS, G.SHOPS, G.GATES), storeys=(1, 3),
    front_m=(6, 15), depth_m=(6, 11), setback_m=(1, 5), gap_m=(1, 7),
    plants=("palm", "bush", "broad", "bare"), greens=((98, 112, 62), (120, 120, 74), (78, 104, 56)),
    markings={"centre": 0.1}, furniture={"pole": 34, "sign": 50, "kiosk": 45, "bin": 40, "tree": 30},
    parked_share=(0.05, 0.3), awning_share=0.3, ribbed_share=0.6, irregularity=(0.6, 2.0),
)  # fmt: skip
_WORKS = replace(
    _ESTATE, blocks={"works": 0.6, "halls": 0.15, "detached": 0.25}, road_width_m=(6, 12),
    markings={"centre": 0.5, "ghosts": 0.9, "hatching": 0.7, "arrows": 0.6, "letters": 0.4, "stops": 0.4, "edges": 0.3},
    furniture={"barrier": 22, "sign": 22, "lamp": 40, "cabinet": 50, "cover": 20, "bin": 50}, irregularity=(1.2, 2.5),
    wear=(0.3, 0.9), parked_share=(0.05, 0.3),
)  # fmt: skip

FAMILIES: dict[str, Family | None] = {
    CLASSIC: None, "old_town": _OLD_TOWN, "downtown": _DOWNTOWN, "industrial": _INDUSTRIAL, "campus": _CAMPUS,
    "estate": _ESTATE, "car_park": _CAR_PARK, "country": _COUNTRY, "dry": _DRY, "works": _WORKS,
}  # fmt: skip


def family_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, "all" spelled out. Raises ValueError for a name that is not there."""
    unknown = [name for name in names if name not in FAMILIES and name != "all"]
    if unknown:
        raise ValueError(f"unknown style '{unknown[0]}'; there are all, {', '.join(FAMILIES)}")
    return tuple(FAMILIES) if "all" in names else names
