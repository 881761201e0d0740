"""ament_python package; also installs with plain pip."""

from glob import glob

from setuptools import find_packages, setup

PACKAGE = "xview_localizer"
ROS_WHEELS = [
    "rclpy[fastrtps]", "sensor-msgs", "geometry-msgs", "nav-msgs", "diagnostic-msgs", "std-msgs", "std-srvs",
    "visualization-msgs",
]  # fmt: skip
SIMULATION = ["embreex", "trimesh", "shapely", "scipy", "rasterio", "pyproj", "rosbags>=0.11.6"]
MAP_SERVER = ["fastapi>=0.101", "uvicorn>=0.27"]
# An extra, since its wheels carry an encoder under the GPL, and want a Pillow that robots do not have.
HEIF = ["pillow-heif>=0.22"]
REPORT = ["matplotlib", "jinja2", "scipy", "rosbags>=0.11.6"]
PMTILES = ["pmtiles>=3.4"]
RERUN = ["rerun-sdk>=0.24", "rosbags>=0.11.6"]
DOCS = ["mkdocs-material>=9.5", "mkdocstrings[python]>=0.24", "l2m4m>=1.0.4"]
# As in .pre-commit-config.yaml: another version of the formatter formats otherwise, and one of mypy finds other errors.
LINT = ["ruff==0.17.6", "codespell>=2.3", "mypy==2.4.1"]
TEST = ["pytest>=8", "pytest-timeout", "pytest-xdist>=3.6", "hypothesis", "selenium>=4"]
# Engines for NVIDIA GPUs. TensorRT itself comes with JetPack or NVIDIA's packages; TensorRT-RTX from wheels.
TENSORRT = ["onnx", "cuda-bindings"]
X86_LINUX = "sys_platform == 'linux' and platform_machine == 'x86_64'"
TENSORRT_RTX = [
    *TENSORRT,
    f"onnxruntime-ep-nv-tensorrt-rtx-cu13==0.5.0; {X86_LINUX}",
    f"tensorrt-rtx-cu13-bindings==1.7.1.116; {X86_LINUX}",
]
LEARN = [*SIMULATION, "torch==2.13.0", "filelock>=3.13", "onnx", "safetensors", "transformers>=4.49,<5"]

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={
        f"{PACKAGE}.models": ["default/*"],
        f"{PACKAGE}.evaluation": ["*.html", "*.js", "leaflet/*"],
        f"{PACKAGE}.photo": ["*.html"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"share/{PACKAGE}/launch", glob("launch/*.launch.py")),
        (f"share/{PACKAGE}/config", glob("config/*")),
        # ros2 run and ros2 launch look here, where pip puts no entry points; see setup.cfg.
        (f"lib/{PACKAGE}", glob("scripts/*")),
    ],
    python_requires=">=3.10",
    # The floors are what Ubuntu 24.04 ships and `make test-noble` runs on.
    install_requires=[
        "setuptools",
        "aiohttp>=3.9",
        "numpy>=1.26",
        "jinja2>=3",
        "onnxruntime>=1.17",
        "opencv-python-headless>=4.6",
        "pillow>=10",
        "pymap3d>=3",
        "pyproj>=3.6",
        "rasterio>=1.3.9",
        "pyyaml>=6",
        "typer>=0.9",
        "rich>=13",
    ],
    extras_require={
        # Real rclpy where no ROS is installed; never needed, nor wanted, beside a ROS installation.
        "wheels": [f"ros-jazzy-{name}" for name in ROS_WHEELS],
        "simulation": SIMULATION,
        "map-server": MAP_SERVER,
        "pmtiles": PMTILES,
        "heif": HEIF,
        "report": REPORT,
        "rerun": RERUN,
        "docs": DOCS,
        "learn": LEARN,
        "tensorrt": TENSORRT,
        "tensorrt-rtx": TENSORRT_RTX,
        "test": [*TEST, *LEARN, *MAP_SERVER, *PMTILES, *HEIF, *REPORT, *RERUN, *DOCS, *LINT, *TENSORRT_RTX],
    },
    zip_safe=False,
    maintainer="xview_localizer developers",
    maintainer_email="xview-localizer@users.noreply.github.com",
    description="Cross-view localization: where a robot is, from one ground camera and an aerial photo.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            f"xview-localizer = {PACKAGE}.cli.main:main",
            f"localizer = {PACKAGE}.ros.main:main",
        ]
    },
)
