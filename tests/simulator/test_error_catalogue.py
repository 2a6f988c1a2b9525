"""Every documented error, provoked through a real client, in the venue's own words."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from error_rows import ROWS, Row
from provoking import fault
from served_world import ServedWorld

from fractaltrader.simulator.serving.background import PATIENCE_SECONDS

pytestmark = pytest.mark.integration

# Rows of hyperliquid.md section 10 that cannot happen here, or not through a client, and why.
NOT_REPRODUCIBLE = {
    3: "spot orders: there are no spot pairs",
    13: "spot orders: there are no spot pairs",
    18: "the old text of row 17",
    24: "the supply of a spot token: there are no spot pairs",
    29: "spot orders: there are no spot pairs",
    30: "spot orders: there are no spot pairs",
    31: "there is one class of asset",
    38: "builder-deployed dexes: there are none",
    39: "outcome markets: there are none",
    40: "newer spellings of rows 10 to 12, from the node's strings only",
    47: "vaults: there are none",
    69: "tables of margin tiers do not change while the exchange runs",
    75: "gas of spot transfers: there are no spot pairs",
    84: "deployer actions: there are none",
    89: "an answer of the firewall in front of the venue",
    103: "a client library's own text; the server's is not recorded (test_venue_limits)",
    106: "closing of a silent socket: test_venue_limits",
    107: "frames that stop: test_faults",
}
# Rows without a recorded text, or whose text quotes another row (34).
INFERRED = {34, 50, 88, 91, 97, 98}
SOCKET_ROWS = {99, 100, 101, 102, 104, 105}


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.number}-{row.by}" for row in ROWS])
def test_the_text_is_the_venues(world, row: Row, request):
    """The provocation is answered with the documented text, to the letter."""
    assert re.fullmatch(row.text, row.provoke(world, request.node.name))


async def talk(world: ServedWorld, *messages: Any, last: str = "pong") -> list[dict[str, Any]]:
    """What one socket hears, in order, up to a frame of channel `last`: that of a final ping."""
    heard: list[dict[str, Any]] = []
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(world.url.replace("http", "ws") + "/ws") as socket,
    ):
        for message in (*messages, {"method": "ping"}):
            await socket.send_str(message if isinstance(message, str) else json.dumps(message))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not heard or heard[-1]["channel"] != last:
                heard.append(await socket.receive_json())
    return heard


def errors(heard: list[dict[str, Any]]) -> list[str]:
    """Texts of the error frames."""
    return [frame["data"] for frame in heard if frame["channel"] == "error"]


def test_the_socket_refuses_in_the_venues_words(world):
    """Rows 99 to 101: what cannot be parsed is echoed whole, a repeated or impossible subscription
    by itself."""
    book = {"type": "l2Book", "coin": "BTC"}
    nowhere = {"type": "l2Book", "coin": "NOPE"}
    unknown = '{"method":"subscribe","subscription":{"type":"nope"}}'
    post = '{"method":"post","id":7,"request":{"type":"info","payload":{"type":"nope"}}}'
    ways = ("subscribe", "subscribe", "unsubscribe", "unsubscribe")
    heard = asyncio.run(
        talk(
            world,
            *({"method": way, "subscription": book} for way in ways),
            {"method": "subscribe", "subscription": nowhere},
            unknown,
            post,
        )
    )
    unparsed = "Error parsing JSON into valid websocket request: "
    assert errors(heard) == [
        'Already subscribed: {"type":"l2Book","coin":"BTC"}',
        'Already unsubscribed: {"type":"l2Book","coin":"BTC"}',
        'Invalid subscription {"type":"l2Book","coin":"NOPE"}',
        unparsed + unknown,
        unparsed + post,
    ]


def test_the_limits_of_an_address_have_the_venues_words():
    """Rows 92, 102 and 105: the eleventh user, the weight of a minute over both ways."""
    world = ServedWorld(limits=True)
    try:
        users = ({"type": "orderUpdates", "user": f"0x{number:040x}"} for number in range(11))
        subscribe = [{"method": "subscribe", "subscription": one} for one in users]
        heard = asyncio.run(talk(world, *subscribe))
        assert errors(heard) == ["Cannot track more than 10 total users."]
        ask = {"type": "info", "payload": {"type": "meta"}}
        posts = [{"method": "post", "id": number, "request": ask} for number in range(61)]
        answers = [frame["data"] for frame in asyncio.run(talk(world, *posts))[:-1]]
        assert [answer["response"]["type"] for answer in answers[:60]] == ["info"] * 60
        refused = {"type": "error", "payload": "429 Too Many Requests"}
        assert answers[60] == {"id": 60, "response": refused}
        answer = requests.post(f"{world.url}/info", json={"type": "meta"}, timeout=10)
        assert (answer.status_code, answer.text) == (429, "null")
    finally:
        world.close()


def test_too_many_posts_at_once_are_refused():
    """Row 104: the hundred-and-first post while a hundred wait for their answers."""
    world = ServedWorld(limits=True)
    try:
        with fault(world, kind="latency", ms=300):
            ask = {"type": "info", "payload": {"type": "exchangeStatus"}}
            posts = [{"method": "post", "id": number, "request": ask} for number in range(101)]
            heard = asyncio.run(talk(world, *posts, last="error"))
        assert errors(heard) == ["too many pending post requests id=100"]
    finally:
        world.close()


def documented(shared: Path) -> dict[int, str]:
    """Rows of the catalogue by number."""
    text = (shared / "hyperliquid.md").read_text()
    section = text[text.index("## 10.") : text.index("## 11.")]
    return {int(found[1]): found[2] for found in re.finditer(r"\n\| (\d+) \| (.*)", section)}


def test_the_texts_are_the_documented_ones(shared_folder):
    """Every long run of words that a row is matched against stands in the document's row."""
    rows = documented(shared_folder)
    checked = 0
    for row in ROWS:
        if row.number in INFERRED:
            continue
        text = rows[row.number].replace("(a)", "a")
        for words in re.findall(r"[A-Za-z][A-Za-z ,'-]{9,}", row.text):
            assert words.strip() in text, (row.number, words)
            checked += 1
    assert checked > 60


def test_no_row_is_left_out(shared_folder):
    """Each documented row is provoked here or named with the reason why it cannot be."""
    rows = documented(shared_folder)
    covered = {row.number for row in ROWS} | SOCKET_ROWS
    assert covered & NOT_REPRODUCIBLE.keys() == set()
    assert covered | NOT_REPRODUCIBLE.keys() == rows.keys()
