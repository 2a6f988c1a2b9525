"""State documents of older programs, brought up to date one schema version at a time."""

from collections.abc import Callable
from typing import Any

from fractaltrader.live.state import SCHEMA_VERSION

Document = dict[str, Any]


def _from_1(document: Document) -> Document:
    """Version 2 has commands where version 1 had one flag. The flag was meant for a bot that has
    ended since; breaker, pause and flattening start with their defaults."""
    document.pop("control", None)
    return document


MIGRATIONS: dict[int, Callable[[Document], Document]] = {1: _from_1}


def migrate(document: Document, version: int) -> Document:
    """`document` of schema `version` in today's schema; ValueError for an unknown version."""
    while version < SCHEMA_VERSION:
        if version not in MIGRATIONS:
            raise ValueError(f"schema version {version} is not known")
        document = MIGRATIONS[version](document)
        version += 1
    return document
