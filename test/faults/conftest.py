"""The campaign's own files are found, and the node's client with them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "ros"))
