"""Logs: JSON lines in a bounded file, and readable lines on the terminal when wanted."""

import logging
from collections.abc import Callable
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


class _Redacting(structlog.stdlib.ProcessorFormatter):
    """Passes each finished line, traceback and all, through `redact`."""

    redact: Callable[[str], str]

    def format(self, record: logging.LogRecord) -> str:
        return self.redact(super().format(record))


def configure_logs(
    folder: Path,
    *,
    terminal: bool,
    name: str = "bot.log",
    redact: Callable[[str], str] = lambda line: line,
) -> None:
    """Send the log to `folder`/`name` (at most 25 MB) and, when `terminal`, to stderr. `redact`
    takes secrets out of every line."""
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    file = _BoundedFile(folder / name, maxBytes=MAX_BYTES, backupCount=FILES_KEPT)
    # Tracebacks go without the values of local variables.
    trace = structlog.processors.format_exc_info
    file.setFormatter(_formatter(redact, trace, structlog.processors.JSONRenderer()))
    handlers: list[logging.Handler] = [file]
    if terminal:
        console = logging.StreamHandler()
        plain = structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
        console.setFormatter(_formatter(redact, plain))
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


def _formatter(
    redact: Callable[[str], str], *processors: structlog.typing.Processor
) -> logging.Formatter:
    formatter = _Redacting(processors=[_Redacting.remove_processors_meta, *processors])
    formatter.redact = redact
    return formatter
