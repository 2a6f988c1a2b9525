"""The exchange survives anything that is sent to it (the command for 100,000 is in `fuzzing`)."""

import asyncio
import json

import aiohttp
import pytest
from fuzzing import GARBAGE, STATUSES, Fuzzer

from fractaltrader.simulator.protocol.gateway import JSON, MAX_BODY_BYTES, respond
from fractaltrader.simulator.serving.server import Server

MOST_KEPT_BYTES = 20_000


def test_two_thousand_inputs_break_nothing() -> None:
    """Every answer has a status of the venue and parses, the books balance, no socket leaves a
    subscription behind, and memory grows only by what the bounded state keeps."""
    findings = Fuzzer(seed=1).run(2_000)
    assert findings.answers["/exchange 200 ok"] > 100
    assert findings.answers["/info 200 data"] > 200
    assert findings.kept_bytes < MOST_KEPT_BYTES


def test_a_body_too_large_is_refused_unparsed() -> None:
    """A megabyte is read, a byte more is not: no body takes seconds to parse."""
    exchange = Fuzzer(seed=3).exchange
    for size, status in ((MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)):
        body = b'{"type":"meta"}'.ljust(size)
        assert respond(exchange, "POST", "/info", JSON, body).status == status


@pytest.mark.integration
def test_a_served_exchange_survives_garbage() -> None:
    """Over real sockets, garbage gets the venue's refusal and the next client its answer."""

    async def throw() -> None:
        fuzzer = Fuzzer(seed=2)
        server = Server(fuzzer.exchange, None, 1.0)
        url = await server.start(0)
        headers = {"Content-Type": "application/json"}
        try:
            async with aiohttp.ClientSession(headers=headers) as client:
                for body in [*GARBAGE, *(fuzzer._encoded(fuzzer._action()) for _ in range(60))]:
                    for path in ("/info", "/exchange"):
                        async with client.post(url + path, data=body) as answer:
                            assert answer.status in STATUSES
                            await answer.read()
                async with client.ws_connect(url + "/ws") as socket:
                    for body in GARBAGE:
                        await socket.send_str(body.decode(errors="replace"))
                        assert (await socket.receive_json(timeout=30))["channel"] == "error"
                    await socket.send_bytes(b"\x00")
                    await socket.send_str(json.dumps({"method": "ping"}))
                    assert await socket.receive_json(timeout=30) == {"channel": "pong"}
        finally:
            await server.stop()

    asyncio.run(throw())
