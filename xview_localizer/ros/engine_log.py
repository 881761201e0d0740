"""Log records of engines while they are opened or built, passed on to the node's log.

TensorRT's engines take minutes to build; without a log entry the node would seem to hang meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENGINES_LOGGER = "xview_localizer.engines"

Report = Callable[[int, str], None]  # of a level of the logging module, and a text


@contextmanager
def forwarded_engine_log(report: Report) -> Iterator[None]:
    """Pass every record of the engines, from INFO on, to `report` meanwhile."""

    class Forward(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            report(record.levelno, record.getMessage())

    logger, handler = logging.getLogger(ENGINES_LOGGER), Forward(logging.INFO)
    level_before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level_before)
