"""Why a raster file cannot be used as a map, with the remedy; its bands have checks of their own (bands.py)."""

from __future__ import annotations

from rasterio import DatasetReader

from xview_localizer.aerial.raster_sources import remote_source

# GDAL decodes whole blocks; larger ones would fill the memory for a single pixel.
MAX_BLOCK_PX = 64_000_000


def georeference_problem(raster: DatasetReader) -> str | None:
    """The reason why the pixels have no place on Earth, with the remedy; None where they have one."""
    if not raster.transform.is_identity:
        if raster.transform.is_degenerate:
            return (
                "has a singular geotransform, which puts all its pixels on one line or point; georeference it, "
                "or export it again in a projected CRS or WGS84"
            )
        return None
    if raster.gcps[0]:
        return (
            "has ground control points but no geotransform; warp it with gdalwarp -t_srs EPSG:… (any CRS in metres "
            "there)"
        )
    if raster.rpcs:
        return "has an RPC camera model but no geotransform; warp it with gdalwarp -rpc -t_srs EPSG:…"
    if raster.subdatasets:
        return (
            f"holds {len(raster.subdatasets)} rasters; take one of them, such as with gdal_translate "
            f"{raster.subdatasets[0]} map.tif"
        )
    if raster.crs is None:
        return (
            "has no coordinate reference system and no geotransform; georeference it, assign both with "
            "gdal_edit.py -a_srs -a_ullr, or put a world file and a .prj beside it"
        )
    return (
        "has no geotransform, so its pixels have no place; georeference it (ground control points need gdalwarp), or "
        "put a world file beside it"
    )


def storage_problem(raster: DatasetReader) -> str | None:
    """The reason why reading would fill the memory or contact another machine; None where it does neither."""
    rows, columns = max(raster.block_shapes)
    if rows * columns > MAX_BLOCK_PX:
        return (
            f"is stored in blocks of {columns} × {rows} px, which have to be read whole; "
            "convert it with gdal_translate -co TILED=YES -co COMPRESS=JPEG"
        )
    if remote := remote_source(raster):
        return f"refers to {remote:.200}, which is on another machine; download it, or give a service's own address"
    return None
