"""Errors of the transport: status codes, broken bodies, lost connections."""

from collections.abc import Callable
from typing import Any

import requests
from hyperliquid.utils.error import ClientError, ServerError
from provoking import GTC, Provocation, fault
from served_world import ServedWorld


def status_and_body(world: ServedWorld, method: str, path: str, **options: Any) -> str:
    """`<status> <body>` of a plain request."""
    answer = requests.request(method, world.url + path, timeout=10, **options)
    return f"{answer.status_code} {answer.text}"


def sdk_failure(ask: Callable[[], Any]) -> str:
    """What the SDK raises, as `<status> <body>`."""
    try:
        ask()
    except ClientError as error:
        return f"{error.status_code} {error.error_message}"
    except ServerError as error:
        return f"{error.status_code} {error.message}"
    raise AssertionError("the SDK did not fail")


def server_error(status: int) -> Provocation:
    def provoke(world: ServedWorld, name: str) -> str:
        sdk = world.sdk(name)
        with fault(world, kind="server_error", status=status):
            return sdk_failure(lambda: sdk.order("BTC", True, 0.01, 90_000, GTC))

    return provoke


def limited(world: ServedWorld, name: str) -> str:
    sdk = world.sdk(name)
    with fault(world, kind="rate_limit"):
        return sdk_failure(lambda: sdk.order("BTC", True, 0.01, 90_000, GTC))


def garbled(world: ServedWorld, name: str) -> str:
    sdk = world.sdk(name)
    with fault(world, kind="garbled_answer"):
        return str(sdk.order("BTC", True, 0.01, 90_000, GTC)["error"])


def lost(kind: str, **fields: Any) -> Provocation:
    def provoke(world: ServedWorld, name: str) -> str:
        sdk = world.sdk(name)
        sdk.timeout = 0.2
        with fault(world, kind=kind, **fields):
            try:
                sdk.order("BTC", True, 0.01, 90_000, GTC)
            except requests.exceptions.RequestException as error:
                return type(error).__name__
        return "answered"

    return provoke


def rounding(world: ServedWorld, name: str) -> str:
    sdk = world.sdk(name)
    try:
        sdk.order("BTC", True, 0.0100000001, 90_000, GTC)
    except ValueError as error:
        return str(error.args[0])
    return "sent"
