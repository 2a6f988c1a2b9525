"""The server's own paths: what they refuse, in words, and that a refusal changes nothing."""

import json
from typing import Any

import pytest
import requests
from served_world import ServedWorld, address_of

pytestmark = pytest.mark.integration

FAUCET = 'faucet: send {"user": "0x…", "usd": "10000"}'
SWITCH = 'faults: send {"enabled": true} or {"enabled": false}'


def asked(world: ServedWorld, method: str, path: str, body: Any = b"", **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.request(method, world.url + path, data=data, headers=headers, timeout=10)


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "faucet", b"{", FAUCET),
        ("POST", "faucet", b"\xff", FAUCET),
        ("POST", "faucet", {"user": "0x1"}, FAUCET),
        ("POST", "faucet", {"user": "0x1", "usd": "much"}, FAUCET),
        ("POST", "faucet", {"user": "0x1", "usd": 5}, "address '0x1' is not 0x followed by 40"),
        ("POST", "faucet", {"user": "0x" + "1" * 40, "usd": -5}, "amount -5 must be above zero"),
        ("POST", "faults", b"{", "faults: the body is no JSON"),
        ("POST", "faults", b"\xff", "faults: the body is no JSON"),
        ("POST", "faults", {"kind": "latenci"}, "did you mean 'latency'"),
        ("POST", "faults", {"fault": [{"kind": "halt"}, {"kind": "latency"}]}, "field `ms`"),
        ("POST", "faults/FIRST", b"{", SWITCH),
        ("POST", "faults/FIRST", {"on": True}, SWITCH),
        (
            "POST",
            "faults/700",
            {"enabled": True},
            "there is no number 700; numbers in force: FIRST",
        ),
        ("DELETE", "faults/700", b"", "there is no number 700; numbers in force: FIRST"),
        ("DELETE", "faults/x", b"", "fault: 'x' is no number; GET /admin/faults lists them"),
        ("DELETE", "faults/" + "9" * 40, b"", f"fault: '{'9' * 20}' is no number"),
    ],
)
def test_a_refusal_says_what_to_send(
    world: ServedWorld, method: str, path: str, body: Any, message: str
) -> None:
    """Bad input is HTTP 422 with one line; faults and accounts are what they were."""
    asked(world, "DELETE", "/admin/faults")
    halt = {"kind": "halt", "begins": "9h"}
    (first,) = asked(world, "POST", "/admin/faults", halt).json()["numbers"]
    before = asked(world, "GET", "/admin/view").json()
    answer = asked(world, method, f"/admin/{path.replace('FIRST', str(first))}", body)
    assert answer.status_code == 422
    assert message.replace("FIRST", str(first)) in answer.text
    assert "\n" not in answer.text
    assert asked(world, "GET", "/admin/view").json() == before


def test_a_faults_whole_life(world: ServedWorld) -> None:
    """Added, several at once too, switched off, on and removed one by one or all together."""
    asked(world, "DELETE", "/admin/faults")
    plan = {"fault": [{"kind": "halt", "begins": "9h"}, {"kind": "halt", "begins": "8h"}]}
    first, second = asked(world, "POST", "/admin/faults", plan).json()["numbers"]

    def states() -> dict[int, bool]:
        rows = asked(world, "GET", "/admin/faults").json()
        return {row["number"]: row["enabled"] for row in rows}

    for on in (False, True):
        assert asked(world, "POST", f"/admin/faults/{first}", {"enabled": on}).status_code == 200
        assert states() == {first: on, second: True}
    assert asked(world, "DELETE", f"/admin/faults/{first}").json() == {"status": "ok"}
    assert states() == {second: True}
    assert asked(world, "DELETE", "/admin/faults").json() == {"status": "ok"}
    assert states() == {}


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Host": "localhost:3001", "Origin": "http://127.0.0.1:3001"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://[::1"}, False),
        ({"Host": "evil.example"}, False),
    ],
)
def test_pages_of_other_hosts_are_turned_away(
    world: ServedWorld, headers: dict[str, str], allowed: bool
) -> None:
    """A browser that has a foreign page open, or whose page's name points here, gives nobody money;
    the venue's own paths answer anyone, as the venue does."""
    user = address_of(f"page {sorted(headers.items())}")
    answer = asked(world, "POST", "/admin/faucet", {"user": user, "usd": "5"}, **headers)
    assert (answer.status_code == 200) == allowed
    if not allowed:
        assert (answer.status_code, "only pages of this machine" in answer.text) == (403, True)
    kind = {"Content-Type": "application/json"}
    worth = asked(world, "POST", "/info", {"type": "clearinghouseState", "user": user}, **kind)
    assert worth.json()["withdrawable"] == ("5.0" if allowed else "0.0")
