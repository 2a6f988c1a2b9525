"""Who may act: signatures and nonces."""

import pytest
from exchange_world import LISTINGS, ORIGIN_MS, Trader, limit

from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.protocol.forms.common import UnprocessableError
from fractaltrader.simulator.virtual_time import SteppedClock

NOOP = {"type": "noop"}
DAY_MS = 86_400_000


def test_an_unfunded_signer_does_not_exist(exchange):
    """A good signature of an unknown key is refused in the venue's words, naming its address."""
    signer = Signer("0x" + "42" * 32)
    envelope = {
        "action": NOOP,
        "nonce": ORIGIN_MS,
        "signature": signer.sign_action(NOOP, ORIGIN_MS, mainnet=False),
    }
    text = f"User or API Wallet {signer.address} does not exist."
    assert exchange.act(envelope) == {"status": "err", "response": text}


@pytest.mark.parametrize("change", ["action", "nonce", "expiresAfter", "network"])
def test_a_signature_covers_everything(exchange, trader, change):
    """Changing any signed part afterwards makes the signer somebody else, who does not exist."""
    alice = trader()
    action = {"type": "order", "orders": [limit("B", "0.001", "90000")], "grouping": "na"}
    nonce = ORIGIN_MS + 1
    signature = alice.signer.sign_action(action, nonce, mainnet=change == "network")
    envelope = {"action": action, "nonce": nonce, "signature": signature}
    if change == "action":
        envelope["action"] = action | {"orders": [limit("B", "0.002", "90000")]}
    elif change == "nonce":
        envelope["nonce"] += 1
    elif change == "expiresAfter":
        envelope["expiresAfter"] = nonce + 60_000
    answer = exchange.act(envelope)
    assert answer["status"] == "err"
    assert answer["response"].startswith("User or API Wallet 0x")
    assert alice.address not in answer["response"]
    assert alice.ask("openOrders") == []


def test_the_venue_hashes_its_own_normal_form(exchange, trader):
    """A client that signs trailing zeros or another key order appears as an unknown wallet."""
    alice = trader()
    good = limit("B", "0.001", "90000")
    for order in (good | {"s": "0.0010"}, good | {"p": "90000.0"}, dict(reversed(good.items()))):
        answer = alice.act({"type": "order", "orders": [order], "grouping": "na"})
        assert answer["status"] == "err"
        assert "does not exist" in answer["response"]


def test_an_unrecoverable_signature_is_named(exchange, trader):
    """Malformed r, s or v give the venue's own text."""
    alice = trader()
    signature = {"r": "0x" + "ff" * 32, "s": "0x1", "v": 27}
    envelope = {"action": NOOP, "nonce": alice.nonce, "signature": signature}
    assert exchange.act(envelope)["response"] == "Unable to recover signer."


def test_nonces_are_unique_windowed_and_bounded(exchange, trader):
    """Of 100 stored nonces none works twice, none below the least works, order inside is free."""
    alice = trader()
    base = ORIGIN_MS
    for nonce in range(base + 2, base + 200, 2):
        assert alice.act(NOOP, nonce=nonce)["status"] == "ok"
    duplicate = alice.act(NOOP, nonce=base + 100)
    assert duplicate["response"] == f"Invalid nonce: duplicate nonce {base + 100}"
    assert alice.act(NOOP, nonce=base + 101)["status"] == "ok"
    low = alice.act(NOOP, nonce=base + 1)
    assert low["response"] == f"Invalid nonce: nonce too low {base + 1} < {base + 2}"
    assert alice.act(NOOP, nonce=base + 103)["status"] == "ok"
    dropped = alice.act(NOOP, nonce=base + 3)
    assert dropped["response"] == f"Invalid nonce: nonce too low {base + 3} < {base + 4}"
    for far in (base - 2 * DAY_MS, base + DAY_MS):
        assert trader("bob").act(NOOP, nonce=far)["response"].startswith("Invalid nonce")


def test_nonces_follow_their_own_clock():
    """A replayed market of last year accepts the wall-clock nonces of a real client."""
    wall = SteppedClock(ORIGIN_MS + 365 * DAY_MS)
    replayed = LocalExchange(LISTINGS, clock=SteppedClock(ORIGIN_MS), nonce_clock=wall)
    alice = Trader(replayed, "alice")
    assert alice.act(NOOP, nonce=wall.now_ms())["status"] == "ok"
    assert alice.act(NOOP, nonce=ORIGIN_MS)["status"] == "err"


def test_an_expired_action_is_not_executed(exchange, trader):
    """`expiresAfter` in the past refuses the action and still uses up its nonce."""
    alice = trader()
    answer = alice.act(NOOP, nonce=ORIGIN_MS + 5, expiresAfter=ORIGIN_MS - 1)
    assert answer == {"status": "err", "response": "Action already expired"}
    assert "duplicate" in alice.act(NOOP, nonce=ORIGIN_MS + 5)["response"]


@pytest.mark.parametrize(
    "action",
    [
        {"type": "teleport"},
        {"type": "order", "orders": [{"a": 0}], "grouping": "na"},
        {"type": "order", "orders": [limit("B", "x", "1")], "grouping": "na"},
        {"type": "order", "orders": [limit("B", "NaN", "1")], "grouping": "na"},
        {"type": "order", "orders": [limit("B", "1e999999999", "1")], "grouping": "na"},
        {"type": "order", "orders": [limit("B", "1", "1", "Fok")], "grouping": "na"},
    ],
)
def test_a_malformed_action_is_unprocessable(exchange, trader, action):
    """What the venue cannot parse is a 422, before any signature is looked at."""
    with pytest.raises(UnprocessableError, match="Failed to deserialize the JSON body"):
        trader().act(action)
