"""Every recorded response has the structure of ours; a planted difference is found."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from exchange_world import limit, trigger
from recorded_fixtures import SHARED, fixture, names
from rich_world import CLOID, HOUR_MS, RESTING_CLOID, RichWorld
from structures import Rules, differences, merged, structure
from wallets import Agent

from fractaltrader.exchange.hyperliquid import wire
from fractaltrader.simulator.protocol.gateway import WebSocketSession, answer

RULES = Rules(
    # hyperliquid.md 2.1 and 2.2: present only when true, given, or said to be optional.
    optional=frozenset(
        {
            "isDelisted",
            "onlyIsolated",
            "marginMode",
            "growthMode",
            "lastGrowthModeChangeTime",
            "cloid",
            "reduceOnly",
            "builderFee",
            "liquidation",
            "rawUsd",
            "dex",
            "spread",
            "fast",
            "description",
            "isSnapshot",
            "perpsAtOpenInterestCap",
            "tokenToAvailableAfterMaintenance",
            "maxTradeSzs",
            "twapId",
        }
    ),
    # Keys that the venue added after a recording was made.
    newer=frozenset(
        {
            "collateralToken",
            "nRequestsSurplus",
            "origSz",
            "cumFunding",
            "maxLeverage",
            "fee",
            "tid",
            "feeToken",
            "tif",
            "crossMaintenanceMarginUsed",
            "marginTableId",
            "marginTables",
            "dayBaseVlm",
            "fundingIntervalHours",
            "clearinghouseState.time",
        }
    ),
    nullable=frozenset(
        {
            "cloid",
            "liquidationPx",
            "premium",
            "midPx",
            "impactPxs",
            "twapId",
            "tif",
            "trigger",
            "stopPx",
            "agentAddress",
            "agentValidUntil",
            "nSamples",
            "nonce",
            "mantissa",
            "nSigFigs",
            # Other venues, which are not here.
            "predictedFundings[][][][]",
        }
    ),
    maps=frozenset({"allMids", "mids"}),
    # No spot pairs, and so no tokens but USDC.
    empty=frozenset(
        {
            "spotMeta.universe[]",
            "spotMetaAndAssetCtxs[].universe[]",
            "spotMetaAndAssetCtxs[][]",
        }
    ),
)


@pytest.fixture(scope="module")
def world() -> RichWorld:
    """Not changed by the tests that only ask."""
    return RichWorld()


# What to ask instead of what was asked, where the recorded user or coin is not of our world.
INSTEAD: dict[str, dict[str, Any]] = {
    "candleSnapshot": {
        "req": {"coin": "BTC", "interval": "1h", "startTime": 0, "endTime": None},
    },
    "fundingHistory": {"coin": "BTC", "startTime": 0, "endTime": None},
    "userFunding": {"startTime": 0, "endTime": None},
    "userNonFundingLedgerUpdates": {"startTime": 0, "endTime": None},
    "userFillsByTime": {"startTime": 0, "endTime": None},
    "orderStatus": {"oid": CLOID},
    "perpDexStatus": {"dex": ""},
}
EMPTY_USER = "0x" + "0f" * 20


def asked(name: str, world: RichWorld) -> dict[str, Any]:
    """The fixture's request in terms of our world."""
    request = dict(fixture(name)["request"]["body"])
    kind = request["type"]
    if name.endswith(("_empty", "_empty_a", "_none")):
        return request | {"user": EMPTY_USER}
    if "user" in request:
        request["user"] = world.alice.address
    if "unknown" in name:
        return request
    if "coin" in request:
        request["coin"] = "BTC"
    return request | INSTEAD.get(kind, {})


@pytest.mark.parametrize("name", names("http_info"))
def test_info_answers_have_the_recorded_structure(world, name):
    """Keys, kinds, nesting and null-ability are those of the venue's recording."""
    request = asked(name, world)
    reply = answer(world.exchange, "/info", json.dumps(request).encode())
    assert (reply.status, reply.content_type) == (200, "application/json")
    recorded = fixture(name)["response"]["body"]
    kind = request["type"]
    if kind == "userRole":
        roles = (EMPTY_USER, world.alice.address, world.bot.address, world.sub)
        ours = [ask(world, {"type": kind, "user": user}) for user in roles]
        recorded = recorded["alternatives"]
    else:
        ours = json.loads(reply.body)
    assert differences(structure(ours), structure(recorded), RULES, kind) == []


def ask(world: RichWorld, request: dict[str, Any]) -> Any:
    """The JSON that /info answers."""
    return json.loads(answer(world.exchange, "/info", json.dumps(request).encode()).body)


def act_order(*orders: dict[str, Any], grouping: str = "na") -> dict[str, Any]:
    """An order action."""
    return {"type": "order", "orders": list(orders), "grouping": grouping}


def resting(world: RichWorld, cloid: str) -> int:
    """The oid of a new resting order of Alice's."""
    status = world.alice.order(limit("B", "0.01", "90000", c=cloid))[0]
    oid: int = status["resting"]["oid"]
    return oid


def modify(world: RichWorld, kind: str) -> dict[str, Any]:
    """A modify of a fresh order."""
    change = {"oid": resting(world, "0x" + "0a" * 16), "order": limit("B", "0.02", "90000")}
    return {"type": kind} | (change if kind == "modify" else {"modifies": [change]})


BRACKET = (
    limit("B", "0.01", "90000"),
    trigger("A", "0.01", "80000", "sl"),
    trigger("A", "0.01", "110000", "tp"),
)
TWAP = {"a": 0, "b": True, "s": "1", "r": False, "m": 60, "t": False}

# The action that has the recorded answer, by fixture.
ACTIONS: dict[str, Callable[[RichWorld], dict[str, Any]]] = {
    "http_exchange/batchModify_ok": lambda world: modify(world, "batchModify"),
    "http_exchange/modify_ok": lambda world: modify(world, "modify"),
    "http_exchange/cancelByCloid_success": lambda _: {
        "type": "cancelByCloid",
        "cancels": [{"asset": 0, "cloid": RESTING_CLOID}],
    },
    "http_exchange/cancel_success": lambda world: {
        "type": "cancel",
        "cancels": [{"a": 0, "o": resting(world, "0x" + "0c" * 16)}],
    },
    "http_exchange/order_filled": lambda _: act_order(limit("B", "0.01", "101000", "Ioc")),
    "http_exchange/order_resting": lambda _: act_order(limit("B", "0.01", "90000")),
    "http_exchange/order_resting_with_cloid": lambda _: act_order(
        limit("B", "0.01", "90000", c="0x" + "0d" * 16)
    ),
    "http_exchange/twapOrder_running": lambda _: {"type": "twapOrder", "twap": TWAP},
    "http_exchange/updateLeverage_ok": lambda _: {
        "type": "updateLeverage",
        "asset": 0,
        "isCross": True,
        "leverage": 10,
    },
    "errors/batch_over_weight_limit": lambda _: {
        "type": "cancel",
        "cancels": [{"a": 0, "o": 1}] * 201,
    },
    "errors/cancel_nonexistent": lambda _: {"type": "cancel", "cancels": [{"a": 0, "o": 1}]},
    "errors/mixed_batch": lambda _: act_order(
        limit("B", "0.01", "90000"),
        limit("B", "0.0001", "90000"),
        limit("B", "0.01", "101000", "Ioc"),
    ),
    "errors/order_min_notional": lambda _: act_order(limit("B", "0.0001", "90000")),
    "errors/order_zero_size": lambda _: act_order(limit("B", "0", "90000")),
    "errors/positionTpsl_waiting": lambda _: act_order(*BRACKET[1:], grouping="positionTpsl"),
    "errors/post_only_would_match": lambda _: act_order(limit("B", "0.01", "101000", "Alo")),
    "errors/schedule_cancel_volume_gate": lambda _: {"type": "scheduleCancel"},
    "errors/tpsl_waiting": lambda _: act_order(*BRACKET, grouping="normalTpsl"),
    "errors/twap_error_status": lambda _: {"type": "twapOrder", "twap": TWAP | {"s": "0.0001"}},
}
# Answers to what no valid signature carries.
SIGNED_BY_OTHERS = {
    "errors/bad_signature_wallet_does_not_exist",
    "errors/duplicate_nonce",
    "errors/must_deposit",
}
HTTP_TEXT = {"errors/http_422_text"}
SOCKET_ERRORS = {"errors/ws_already_subscribed", "errors/ws_parse_error"}


def test_every_fixture_of_actions_and_errors_is_compared():
    """None is forgotten: each is an action, a signature, a text, a frame, or excluded."""
    handled = ACTIONS.keys() | SIGNED_BY_OTHERS | HTTP_TEXT | SOCKET_ERRORS
    assert set(names("http_exchange", "errors")) == (handled if SHARED.is_dir() else set())


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_action_answers_have_the_recorded_structure(shared_folder, name):
    """What /exchange answers is structured as recorded, and our client reads the recording."""
    world = RichWorld()
    action = ACTIONS[name](world)
    ours, recorded = world.alice.act(action), fixture(name)["response"]["body"]
    assert differences(structure(ours), structure(recorded), RULES, "exchange") == []
    kinds = [(body["status"], type(body["response"])) for body in (ours, recorded)]
    assert kinds[0] == kinds[1]
    if isinstance(recorded["response"], dict):
        assert ours["response"]["type"] == recorded["response"]["type"]
    answered = msgspec.json.decode(json.dumps(recorded), type=wire.ActionAnswer)
    if recorded["status"] == "ok" and "statuses" in recorded["response"].get("data", {}):
        parsed = msgspec.json.decode(answered.response, type=wire.ActionResponse)
        assert len(parsed.data.statuses) == len(recorded["response"]["data"]["statuses"])


CHANNELS: dict[str, dict[str, Any]] = {
    "clearinghouseState": {},
    "spotState": {},
    "openOrders": {},
    "twapStates": {},
    "webData3": {},
    "notification": {},
    "orderUpdates": {},
    "userFills": {},
    "userFundings": {},
    "userNonFundingLedgerUpdates": {},
    "userTwapHistory": {},
    "activeAssetData": {"coin": "ETH"},
    "bbo": {"coin": "BTC"},
    "trades": {"coin": "BTC"},
    "l2Book": {"coin": "BTC"},
    "candle": {"coin": "BTC", "interval": "1m"},
    "activeAssetCtx": {"coin": "BTC"},
    "allMids": {},
    "allDexsAssetCtxs": {},
    "fastAssetCtxs": {},
}


MARKET_CHANNELS = {
    "bbo",
    "trades",
    "l2Book",
    "candle",
    "activeAssetCtx",
    "allMids",
    "allDexsAssetCtxs",
    "fastAssetCtxs",
}


def users(world: RichWorld) -> tuple[str, ...]:
    """Whom the streams are about."""
    return world.alice.address, world.carol.address


@pytest.fixture(scope="module")
def heard() -> list[dict[str, Any]]:
    """Everything an exchange says of its markets, Alice and Carol while they trade and fail."""
    world = RichWorld()
    about = [
        {"type": kind, **fields} | ({} if kind in MARKET_CHANNELS else {"user": user})
        for kind, fields in CHANNELS.items()
        for user in ((world.alice.address,) if kind in MARKET_CHANNELS else users(world))
    ]
    about = [one for number, one in enumerate(about) if one not in about[:number]]
    about += [{"type": "userEvents", "user": user} for user in users(world)]
    about.append({"type": "l2Book", "coin": "BTC", "fast": True})
    frames = world.hear(*about)
    world.alice.order(limit("B", "0.001", "101000", "Ioc", c="0x" + "0e" * 16))
    world.resting_fill("99500")
    world.liquidate()
    world.pass_time(HOUR_MS)
    return frames


def group(frame: dict[str, Any]) -> str:
    """Frames of one structure: the channel, and of `user` and `l2Book` the variant."""
    channel, data = frame["channel"], frame["data"]
    if channel == "user":
        return f"user {next(iter(data))}"
    if channel == "l2Book":
        return f"l2Book fast={data.get('fast', False)}"
    return str(channel)


@pytest.mark.parametrize("name", names("ws"))
def test_frames_have_the_recorded_structure(heard, name):
    """Each recorded frame has a counterpart among ours with the same structure."""
    received = [item["json"] for item in fixture(name)["frames"] if item["dir"] == "recv"]
    if name == "ws/post_info_l2Book":
        request = fixture(name)["frames"][0]["json"]
        frames: list[dict[str, Any]] = []
        world = RichWorld()
        session_of(world, frames)(json.dumps(request))
        heard = frames
    for recorded in received:
        if recorded["channel"] == "subscriptionResponse":
            continue
        ours = [frame for frame in heard if group(frame) == group(recorded)]
        assert ours, f"nothing heard on {group(recorded)}"
        mine = merged([structure(frame) for frame in ours])
        assert differences(mine, structure(recorded), RULES, group(recorded)) == []


def session_of(world: RichWorld, frames: list[dict[str, Any]]) -> Callable[[str], None]:
    """A socket's way in, its way out being `frames`."""
    session = WebSocketSession(world.exchange, lambda text: frames.append(json.loads(text)))
    return session.receive


@pytest.mark.parametrize(
    "name", ["ws/subscriptionResponse_l2Book_defaults", *sorted(SOCKET_ERRORS)]
)
def test_small_frames_are_the_recorded_ones(shared_folder, name):
    """Acknowledgement and error frames are equal to the recording, character by character."""
    frames: list[dict[str, Any]] = []
    receive = session_of(RichWorld(), frames)
    conversation = fixture(name)["frames"]
    for item in conversation:
        if item["dir"] == "send":
            text = json.dumps(item["json"], separators=(",", ":"))
            receive(text)
            if "Already" in str(conversation):
                receive(text)
    recorded = [item["json"] for item in conversation if item["dir"] == "recv"]
    assert recorded[-1] in frames


def test_the_422_is_the_recorded_one(world, shared_folder):
    """Status, content type and beginning of the body."""
    recorded = fixture("errors/http_422_text")["response"]
    reply = answer(world.exchange, "/info", b'{"type":"nope"}')
    assert reply.status == recorded["status"]
    assert recorded["headers"]["Content-Type"].startswith(reply.content_type)
    assert reply.body.decode().startswith(recorded["raw"])


@pytest.mark.parametrize("name", sorted(SIGNED_BY_OTHERS))
def test_refusals_of_signatures_are_structured_as_recorded(world, shared_folder, name):
    """A whole action is refused with `err` and a text."""
    nonce = {"nonce": world.alice.nonce} if "nonce" in name else {}
    stranger = world.bot if "deposit" in name else world.alice
    action = {"type": "createSubAccount", "name": "x"} if "deposit" in name else {"type": "noop"}
    if "signature" in name:
        nonce = {"expiresAfter": None, "vaultAddress": None}
        stranger = Agent(world.exchange, "stranger")
    ours, recorded = stranger.act(action, **nonce), fixture(name)["response"]["body"]
    assert differences(structure(ours), structure(recorded), RULES, "exchange") == []
    assert ours["response"].split()[:3] == recorded["response"].split()[:3]


PLANTED: dict[str, Callable[[dict[str, Any]], object]] = {
    "a missing key": lambda fill: fill.pop("startPosition"),
    "a key too many": lambda fill: fill.update({"extra": 1}),
    "a number for a text": lambda fill: fill.update({"px": 1.5}),
    "a whole number without its decimal": lambda fill: fill.update({"px": "100000"}),
    "null where none is known": lambda fill: fill.update({"side": None}),
    "another nesting": lambda fill: fill.update({"coin": {"name": "BTC"}}),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_difference_is_found(world, shared_folder, name):
    """The comparison that passes above fails for each kind of difference."""
    recorded = fixture("http_info/userFillsByTime_testnet_open_long")["response"]["body"]
    ours = ask(world, {"type": "userFills", "user": world.alice.address})
    assert differences(structure(ours), structure(recorded), RULES, "userFills") == []
    PLANTED[name](ours[0])
    assert differences(structure(ours), structure(recorded), RULES, "userFills") != []
