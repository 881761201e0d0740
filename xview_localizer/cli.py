"""`xview-localizer …`: one command for each job. Heavy imports happen inside the command that needs them."""

# No `from __future__ import annotations`: typer 0.9, which Ubuntu 24.04 has, reads no annotations that are texts.
import sys
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from xview_localizer.cli_adapt import adapt
from xview_localizer.cli_engines import engines
from xview_localizer.cli_models import imports

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Where a robot is, from one ground camera and an aerial photo.",
)
models = typer.Typer(no_args_is_help=True, help="Model packages.")
app.add_typer(models, name="models")
app.add_typer(engines, name="engines")
models.add_typer(imports, name="import")
app.command()(adapt)
console = Console()

# Nobody trains or calibrates on this town (training counts up from 0, calibration from 500000).
TOWN_SEED = 900_002
# Errors that a user can mend; by name, so that no command imports what it does not need.
MENDABLE = {
    "AdaptError", "BagError", "CalibrationError", "EngineError", "FileNotFoundError", "MapSourceError",
    "ModelPackageError", "OrthophotoError", "PairsError", "PhotoError", "RecipeError", "ReplayError", "SettingsError",
    "TownError",
}  # fmt: skip


class CameraKind(str, Enum):
    """Cameras that the simulator has."""

    equirectangular = "equirectangular"
    pinhole = "pinhole"


Package = Annotated[
    Optional[Path], typer.Option("--model", help="Model package folder; the embedded one by default.")
]
Recording = Annotated[
    Path | None, typer.Option("--rerun", help="Also write a recording for the Rerun viewer (.rrd).")
]
Out = Annotated[Path, typer.Option("--out", help="JSON file to write.")]


def main() -> None:
    """Entry point: errors that a user can mend are told without a traceback, and give exit code 1."""
    try:
        app()
    except ModuleNotFoundError as error:
        _fail(f"this command needs {error.name}; see the extras in the README")
    except Exception as error:
        if MENDABLE.isdisjoint(kind.__name__ for kind in type(error).__mro__):
            raise
        _fail(str(error))


def _fail(message: str) -> None:
    Console(stderr=True).print(f"[red]error:[/red] {escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(1)


def _track(description: str):
    def wrap(items: Iterable):
        return track(list(items), description, console=console)

    return wrap


def _load(package: Path | None):
    from xview_localizer.models.package import ModelPackage, default_package_path

    return ModelPackage.load(package or default_package_path())


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    seed: Annotated[int, typer.Option(help="Seed of the town and the drive.")] = TOWN_SEED,
    length_m: Annotated[float, typer.Option(help="Length of the drive, metres.")] = 220.0,
    kind: Annotated[CameraKind, typer.Option(help="Camera.")] = CameraKind.equirectangular,
    recording: Recording = None,
) -> None:
    """Simulate a drive, replay it through the real node over DDS, and report.

    Example: xview-localizer demo --seed 900012
    Example: xview-localizer demo --kind pinhole
    """
    from xview_localizer.demo import run_demo

    folder, metrics = run_demo(out, seed, length_m, kind.value, recording, console.print, _track)
    _print_drive(metrics)
    _print_open_me(folder)


@app.command()
def locate(
    photo: Annotated[Path, typer.Argument(help="A photo, or a folder of photos.")],
    map_source: Annotated[
        str, typer.Option("--map", help="GeoTIFF or MBTiles file, or a tile URL with {z}, {x}, {y}.")
    ],
    at: Annotated[
        str | None,
        typer.Option(metavar="LAT,LON", help="Rough position; by default that in the photo's EXIF."),
    ] = None,
    radius: Annotated[float | None, typer.Option(help="How far off it can be, metres [default: 30].")] = None,
    heading: Annotated[
        str | None,
        typer.Option(metavar="DEG±DEG", help="Compass heading of the image's middle, 0 is north; 90±15."),
    ] = None,
    height: Annotated[float | None, typer.Option(help="Camera height over the ground, metres.")] = None,
    hfov: Annotated[
        float | None, typer.Option(help="Horizontal field of view, degrees; 360: panorama.")
    ] = None,
    pitch: Annotated[float | None, typer.Option(help="Degrees by which the camera looks down.")] = None,
    roll: Annotated[float | None, typer.Option(help="Degrees by which it leans to the right.")] = None,
    model: Package = None,
    threads: Annotated[int, typer.Option(help="Threads of ONNX Runtime; 0: its own choice.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("located"),
) -> None:
    """Find where a photo was taken: latitude, longitude and heading, with a picture that shows why.

    Example: xview-localizer locate photo.jpg --map ortho.tif --at 48.137,11.575 --heading 90±15 --height 1.6
    Example: xview-localizer locate photos --map ortho.tif
    """
    from xview_localizer.photo.batch import find_photos, locate_photos
    from xview_localizer.photo.locate import PhotoLocator
    from xview_localizer.photo.options import known_by_user

    known = known_by_user(at, radius, heading, height, hfov, pitch, roll)
    locator = PhotoLocator(map_source, {"model.package": str(model or ""), "model.threads": threads})
    answers = locate_photos(find_photos(photo), locator, known, out, _track("localizing"))
    for answer in answers:
        _print_answer(answer)
    console.print(f"table, GeoJSON and pictures; open me: {out / 'index.html'}", highlight=False)


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    pairs: Annotated[
        Optional[int], typer.Option(help="Write a pairs data set of this many towns instead of a drive.")
    ] = None,
    kind: Annotated[CameraKind, typer.Option(help="Camera.")] = CameraKind.equirectangular,
    seed: Annotated[int, typer.Option(help="Seed of the (first) town.")] = TOWN_SEED,
    length_m: Annotated[float, typer.Option(help="Length of the drive, metres.")] = 200.0,
    images_per_town: Annotated[int, typer.Option(help="Images of each town (pairs).")] = 12,
    keyframes: Annotated[int, typer.Option(help="Images of each short drive (pairs); 1: single images.")] = 1,
    heading_sigma_deg: Annotated[
        Optional[float], typer.Option(help="Give the prior a heading, uniform within this (pairs).")
    ] = None,
    vary_camera: Annotated[bool, typer.Option(help="Vary image size and field of view (pairs).")] = True,
    style: Annotated[
        Optional[list[str]],
        typer.Option(
            help="Street family of families.py or 'all', may be repeated; default: classic (pairs)."
        ),
    ] = None,
    varied: Annotated[
        bool, typer.Option(help="Any lens and height, dusk, rain, dirt, other surveys (pairs).")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes (pairs).")] = 1,
) -> None:
    """Make a simulated drive (bag, orthophoto, truth) or a pairs data set.

    Example: xview-localizer simulate drive1 --seed 900001
    Example: xview-localizer simulate val --pairs 25 --seed 900000 --kind pinhole --heading-sigma-deg 10
    """
    if pairs is None:
        from xview_localizer.simulation.drive import DriveConfig, simulate_drive

        simulate_drive(out, seed, DriveConfig(length_m=length_m, kind=kind.value), _track("rendering images"))
    else:
        from xview_localizer.simulation.pairs_writer import PairsConfig, make_pairs

        try:
            config = PairsConfig(
                kind.value, images_per_town, keyframes, heading_sigma_deg, vary_camera,
                families=tuple(style or ["classic"]), varied=varied,
            )  # fmt: skip
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--style") from error
        with console.status(f"rendering {pairs} towns"):
            make_pairs(out, range(seed, seed + pairs), config, workers)
    console.print(f"wrote {out}", highlight=False)


@app.command()
def train(
    work: Annotated[
        Path, typer.Option(help="Folder of intermediate results; an interrupted training goes on from there.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the model package to make.")],
    towns: Annotated[int, typer.Option(help="Simulated towns of each camera kind to learn from.")] = 200,
    images_per_town: Annotated[int, typer.Option(help="Images of each town.")] = 8,
    pairs: Annotated[
        Optional[list[Path]],
        typer.Option(help="Folder in the pairs format to learn from too; may be repeated."),
    ] = None,
    orthophoto: Annotated[
        Optional[list[Path]],
        typer.Option(help="Georeferenced orthophoto to raise scenes from; may be repeated."),
    ] = None,
    photos: Annotated[
        Optional[Path],
        typer.Option(help="JSON lines of aerial photos (image, metres_per_pixel) to raise scenes from."),
    ] = None,
    scenes: Annotated[int, typer.Option(help="Scenes of each camera kind raised from photos.")] = 100,
    style: Annotated[
        Optional[list[str]],
        typer.Option(help="Family of the towns; may be repeated; all: every one. [default: classic]"),
    ] = None,
    start: Annotated[
        Optional[Path],
        typer.Option(help="Model package to go on from; by default training begins at nothing."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Training steps.")] = 3000,
    seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
    workers: Annotated[int, typer.Option(help="Rendering processes.")] = 2,
    threads: Annotated[int, typer.Option(help="Threads of the networks.")] = 2,
    backbone: Annotated[
        Optional[Path],
        typer.Option(
            help="Model package whose backbone is taken; that of --start or the embedded one by default."
        ),
    ] = None,
    backbone_weights: Annotated[
        Optional[Path],
        typer.Option(help="DINOv2 ViT-S/14 weights (safetensors) to adapt too; this needs --device cuda."),
    ] = None,
    lora_rank: Annotated[int, typer.Option(help="Rank of the backbone's adaptation.")] = 8,
    device: Annotated[str, typer.Option(help="Where to train: cpu or cuda.")] = "cpu",
    crops: Annotated[
        int, typer.Option(help="Aerial crops of one step, four images each; 12 suit a GPU.")
    ] = 2,
) -> None:
    """Train a model package on simulated towns, own images and scenes raised from own orthophotos, from nothing or
    from another package.

    Example: xview-localizer train --work work --out my_package
    Example: xview-localizer train --work work --out my_package --start other_package --pairs my_pairs --towns 50
    Example: xview-localizer train --work work --out my_package --start PKG --orthophoto site.tif --towns 50
    """
    from xview_localizer.learning.recipe import Progress, RecipeConfig, train_package
    from xview_localizer.learning.train import TrainConfig
    from xview_localizer.models.package import default_package_path

    config = RecipeConfig(
        towns=towns, images_per_town=images_per_town, pairs=tuple(pairs or ()),
        orthophotos=tuple(orthophoto or ()), photos=photos, scenes=scenes, styles=tuple(style or ["classic"]),
        start=start, backbone_weights=backbone_weights, lora_rank=lora_rank, device=device, workers=workers,
        threads=threads, train=TrainConfig(steps=steps, seed=seed, aerial_per_step=crops),
    )  # fmt: skip

    def training(step: int, averages: dict[str, float]) -> None:
        console.print(
            f"step {step}: " + "  ".join(f"{key} {value:.3f}" for key, value in averages.items()),
            highlight=False,
        )

    progress = Progress(console.print, _track("working"), training)
    package = train_package(work, backbone or start or default_package_path(), out, config, progress)
    console.print(f"package {package.spec.name} in {out}", highlight=False)


@app.command()
def calibrate(
    pairs: Annotated[list[Path], typer.Option(help="Folder in the pairs format; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Folder of the model package to make.")],
    model: Package = None,
) -> None:
    """Fit a model's confidence and covariance to images of your own, without training it.

    Example: xview-localizer calibrate --pairs my_pairs --out my_package
    """
    from xview_localizer.learning.recipe import Progress, calibrate_package
    from xview_localizer.models.package import default_package_path
    from xview_localizer.pairs import PairsDataset

    datasets = [PairsDataset(folder) for folder in pairs]
    progress = Progress(lambda text: console.print(text, highlight=False), _track("calibrating"))
    calibrate_package(model or default_package_path(), out, datasets, progress)
    console.print(f"package in {out}", highlight=False)


@app.command()
def export(
    weights: Annotated[
        Path, typer.Argument(help="DINOv2 ViT-S/14 weights with official names, safetensors.")
    ],
    out: Annotated[Path, typer.Argument(help="ONNX file to write.")],
    quantize: Annotated[
        bool, typer.Option(help="int8 weights: a quarter of the size, faster on CPUs.")
    ] = True,
) -> None:
    """Export a backbone to ONNX for a model package.

    Example: xview-localizer export dinov2_vits14.safetensors my_package/backbone.onnx
    """
    from xview_localizer.models.backbone import official_backbone
    from xview_localizer.models.export import export_backbone

    export_backbone(official_backbone(weights), out, quantize)
    console.print(f"wrote {out}", highlight=False)


@app.command()
def evaluate(
    pairs: Annotated[Optional[Path], typer.Option(help="Folder in the pairs format.")] = None,
    bag: Annotated[
        Optional[Path], typer.Option(help="Drive folder (drive.yaml and truth.tum beside its bag).")
    ] = None,
    model: Package = None,
    out: Out = Path("evaluation.json"),
    keyframes: Annotated[int, typer.Option(help="Images of a sequence solved together (pairs).")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of ONNX Runtime; 0: its own choice.")] = 0,
    recording: Recording = None,
) -> None:
    """Measure accuracy, calibration and rejection, without ROS.

    Example: xview-localizer evaluate --pairs val --out val.json
    Example: xview-localizer evaluate --bag drive1 --out drive1.json
    """
    from xview_localizer.evaluation.evaluate import evaluate_pairs
    from xview_localizer.evaluation.metrics import write_json

    if (pairs is None) == (bag is None):
        raise typer.BadParameter("give either --pairs or --bag")
    if recording is not None and bag is None:
        raise typer.BadParameter("--rerun goes with --bag: only a drive has a time line")
    if pairs is not None:
        from xview_localizer.engines.factory import EngineConfig
        from xview_localizer.models.networks import open_networks
        from xview_localizer.pairs import PairsDataset

        networks = open_networks(_load(model), EngineConfig(threads=threads))
        metrics = evaluate_pairs(
            PairsDataset(pairs), networks, keyframes=keyframes, track=_track("localizing")
        )
    else:
        metrics = _evaluate_bag(bag, model, threads, recording)
    write_json(metrics, out)
    _print_metrics(metrics)
    console.print(f"wrote {out}", highlight=False)


def _evaluate_bag(folder: Path, model: Path | None, threads: int, recording: Path | None) -> dict:
    import time

    from xview_localizer.assembly import build_localizer, open_map
    from xview_localizer.bag import read_drive
    from xview_localizer.evaluation.drive import judge_drive, read_truth
    from xview_localizer.evaluation.metrics import summarize
    from xview_localizer.offline import localize_drive
    from xview_localizer.settings import Settings

    drive = read_drive(folder)
    read_truth(folder)  # what cannot be judged need not be localized
    values = {**drive.values, "model.threads": threads, "model.package": str(model or "")}
    settings = Settings.from_values(values)
    localizer = build_localizer(settings, open_map(settings))
    began = time.perf_counter()
    with console.status("localizing"):
        records = list(localize_drive(drive, localizer, settings))
    result = judge_drive(folder, records, len(records) / (time.perf_counter() - began))
    if recording is not None:
        from xview_localizer.evaluation.drive import drive_aerial, drive_images
        from xview_localizer.evaluation.rerun_log import write_recording

        images = drive_images(folder, [record.stamp_sec for record in records])
        write_recording(recording, result, drive_aerial(result, settings), images)
    return {**summarize(result.frames), **result.drive_metrics()}


@app.command()
def replay(
    drive: Annotated[Path, typer.Argument(help="Drive folder (drive.yaml and truth.tum beside its bag).")],
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    rate: Annotated[
        Optional[float], typer.Option(help="Speed factor; by default each image waits for its answer.")
    ] = None,
    model: Package = None,
    recording: Recording = None,
) -> None:
    """Replay a recorded drive through the real node over DDS and report.

    Example: xview-localizer replay drive1
    """
    from xview_localizer.demo import replay_and_report

    folder, metrics = replay_and_report(drive, out, rate, model, recording, console.print, _track)
    _print_drive(metrics)
    _print_open_me(folder)


@app.command("map-server")
def map_server(
    path: Annotated[Path, typer.Argument(help="GeoTIFF, COG or MBTiles file.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
) -> None:
    """Serve a map file as XYZ tiles.

    Example: xview-localizer map-server orthophoto.tif --port 8080
    """
    from xview_localizer.aerial.map_server import serve

    serve(path, host, port)


@app.command()
def bench(
    out: Out = Path("bench.json"),
    model: Package = None,
    repeats: Annotated[int, typer.Option(help="Timed runs of each stage.")] = 30,
) -> None:
    """Time the solvers, the engines and a whole image on this machine.

    Example: xview-localizer bench --out bench.json
    """
    from xview_localizer.evaluation.bench import run_bench
    from xview_localizer.evaluation.metrics import write_json

    with console.status("measuring"):
        figures = run_bench(_load(model), repeats)
    write_json(figures, out)
    table = Table("stage", "median", "5 %", "95 %", title=figures["machine"]["cpu"])
    for name, row in figures["stages"].items():
        table.add_row(name, *(f"{row[key]:.1f} ms" for key in ("median_ms", "p5_ms", "p95_ms")))
    console.print(table)
    console.print(f"wrote {out}", highlight=False)


@app.command("check-config")
def check_config(path: Annotated[Path, typer.Argument(help="ROS parameter file of the node.")]) -> None:
    """Check a parameter file: unknown names, missing and invalid values.

    Example: xview-localizer check-config localizer.yaml
    """
    from xview_localizer.settings import Settings, read_parameter_file

    Settings.from_values(read_parameter_file(path))
    console.print(f"{path} is fine", highlight=False)


@models.command("list")
def list_models(folder: Annotated[Optional[Path], typer.Argument(help="Folder of packages.")] = None) -> None:
    """List the embedded package and those in a folder.

    Example: xview-localizer models list ~/models
    """
    from xview_localizer.models.package import ModelPackage, default_package_path

    table = Table("name", "folder", "size", "licence")
    for path in [default_package_path(), *(sorted(folder.iterdir()) if folder else [])]:
        if (path / "model.yaml").is_file():
            package = ModelPackage.load(path)
            size = sum(graph.path.stat().st_size for graph in package.graphs.values())
            table.add_row(package.spec.name, str(path), f"{size / 1e6:.0f} MB", package.licence)
    console.print(table)


@models.command("check")
def check_model(
    folder: Annotated[
        Optional[Path], typer.Argument(help="Package folder; the embedded one by default.")
    ] = None,
) -> None:
    """Verify a package: manifest, checksums, and that its graphs run.

    Example: xview-localizer models check my_package
    """
    from xview_localizer.engines.factory import engine_for

    package = _load(folder)
    for name, graph in package.graphs.items():
        engine = engine_for(graph)
        shapes = ", ".join(f"{spec.name}{list(spec.shape)}" for spec in engine.inputs)
        console.print(f"{name}: {shapes}", highlight=False, markup=False)
    console.print(f"{package.folder} is whole; {package.provenance}", highlight=False)


def _print_answer(answer) -> None:
    colour = "green" if answer.verdict == "accepted" else "red"
    console.print(f"[{colour}]{answer.verdict}[/{colour}]  {escape(answer.photo)}", highlight=False)
    lines = [answer.reason] if answer.reason else []
    if answer.latitude_deg is not None:
        lines += [
            f"latitude {answer.latitude_deg:.7f}, longitude {answer.longitude_deg:.7f}, "
            f"± {answer.sigma_major_m:.2f} m ({answer.from_prior_m:.1f} m from the rough position)",
            f"heading {answer.heading_deg:.1f}° ± {answer.heading_sigma_deg:.1f}°, confidence {answer.confidence:.2f}",
        ]
    for line in [*lines, *filter(None, answer.notes.split("; "))]:
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _print_metrics(metrics: dict) -> None:
    table = Table("measure", "all", "accepted")
    for key in (
        "position_median_m",
        "recall_1m",
        "recall_2m",
        "recall_5m",
        "recall_10m",
        "yaw_median_deg",
        "yaw_recall_10deg",
    ):
        table.add_row(key, *(_number(metrics[prefix + key]) for prefix in ("", "accepted_")))
    table.add_row("n", str(metrics["n"]), str(metrics["n_accepted"]))
    console.print(table)
    console.print(
        f"false accepts {metrics['false_accepts']}, NEES {_number(metrics['nees_mean'])}, "
        f"most confident 70 % within 2 m {_number(metrics['confident_70_recall_2m'])}, "
        f"{_number(metrics['rate_hz'])} Hz",
        highlight=False,
    )


def _print_drive(metrics: dict) -> None:
    table = Table("measure", "value")
    for key in (
        "prior_rmse_m",
        "trajectory_rmse_m",
        "accepted_position_median_m",
        "accepted_yaw_median_deg",
        "nees_mean",
        "rate_hz",
        "latency_ms_median",
    ):
        table.add_row(key, _number(metrics[key]))
    table.add_row("accepted", f"{metrics['n_accepted']} of {metrics['n']}")
    table.add_row("false accepts", str(metrics["false_accepts"]))
    console.print(table)


def _print_open_me(folder: Path) -> None:
    console.print(f"open me: {(folder / 'report.html').resolve().as_uri()}", highlight=False, soft_wrap=True)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    main()
