"""Logs: JSON lines in a bounded file, and readable lines on the terminal when wanted."""

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

import structlog

MAX_BYTES = 4_900_000
FILES_KEPT = 4


class _BoundedFile(RotatingFileHandler):
    """Starts a new file after the line that fills one: measuring a line before it is written, as
    the library does, formats every line twice."""

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - the library's name
        return self.stream is not None and self.stream.tell() >= self.maxBytes


def configure_logs(folder: Path, *, terminal: bool, name: str = "bot.log") -> None:
    """Send the log to `folder`/`name` (at most 25 MB) and, when `terminal`, to stderr."""
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    file = _BoundedFile(folder / name, maxBytes=MAX_BYTES, backupCount=FILES_KEPT)
    file.setFormatter(_formatter(structlog.processors.JSONRenderer()))
    handlers: list[logging.Handler] = [file]
    if terminal:
        console = logging.StreamHandler()
        console.setFormatter(_formatter(structlog.dev.ConsoleRenderer(colors=False)))
        handlers.append(console)
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            stamp,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _formatter(renderer: structlog.typing.Processor) -> logging.Formatter:
    formatter = structlog.stdlib.ProcessorFormatter
    return formatter(processors=[formatter.remove_processors_meta, renderer])
