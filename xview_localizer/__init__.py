"""Cross-view localization: where a robot is, from one ground camera and an aerial photo."""

__version__ = "0.1.0"
