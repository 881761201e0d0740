"""Log records of rooms that know nothing of ROS, passed on to the node's log.

TensorRT's engines take minutes to build; without a log entry the node would seem to hang meanwhile. Tiles that are left
out, or cannot be cached, explain images that are rejected later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENGINES_LOGGER, MAP_LOGGER = "xview_localizer.engines", "xview_localizer.aerial"

Report = Callable[[int, str], None]  # of a level of the logging module, and a text


@contextmanager
def forwarded_log(name: str, level: int, report: Report) -> Iterator[None]:
    """Pass every record of the logger `name` and those below it, from `level` on, to `report` meanwhile."""

    class Forward(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            report(record.levelno, record.getMessage())

    logger, handler = logging.getLogger(name), Forward(level)
    level_before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level_before)
