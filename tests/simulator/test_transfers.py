"""Money that moves without a trade, its ledger and its refusals."""

import json
from decimal import Decimal

import pytest
from exchange_world import Trader
from money_world import HOUR_MS, Market, coin, wallet

from fractaltrader.simulator.clearing.conservation import books_balance

D = Decimal
NOBODY = "0x" + "1" * 40


@pytest.fixture
def market() -> Market:
    """BTC at 100000."""
    made = Market(coin("BTC", 5, 40))
    made.price("BTC", "100000")
    return made


def ledger(trader: Trader) -> list[dict]:
    return [row["delta"] for row in trader.ask("userNonFundingLedgerUpdates", startTime=0)]


def free(trader: Trader) -> Decimal:
    return D(trader.ask("clearinghouseState")["withdrawable"])


def spot(trader: Trader) -> str:
    return trader.ask("spotClearinghouseState")["balances"][0]["total"]


def test_deposits_and_withdrawals(market):
    """The faucet is a deposit in the ledger; a withdrawal takes its amount, a dollar of it the fee;
    more than is free is refused."""
    alice = Trader(market.exchange, "alice", "100")
    done = wallet(alice, "withdraw3", destination=alice.address, amount="60")
    assert done == {"status": "ok", "response": {"type": "default"}}
    assert free(alice) == 40
    assert ledger(alice) == [
        {"type": "deposit", "usdc": "100.0"},
        {"type": "withdraw", "usdc": "60.0", "nonce": alice.nonce, "fee": "1.0"},
    ]
    for amount in ("40.000001", "1", "-5", "0"):
        refused = wallet(alice, "withdraw3", destination=alice.address, amount=amount)
        assert refused == {"status": "err", "response": "Insufficient balance for withdrawal"}
    assert books_balance(market.core) == 0


def test_sending_usd_opens_the_destination_and_enters_both_ledgers(market):
    """usdSend moves perp USDC to anybody; both sides see the same internalTransfer."""
    alice, bob = Trader(market.exchange, "alice", "100"), Trader(market.exchange, "bob", "1")
    assert wallet(alice, "usdSend", destination=bob.address, amount="30.5")["status"] == "ok"
    assert (free(alice), free(bob)) == (D("69.5"), D("31.5"))
    entry = {
        "type": "internalTransfer",
        "usdc": "30.5",
        "user": alice.address,
        "destination": bob.address,
        "fee": "0.0",
    }
    assert ledger(alice)[-1] == ledger(bob)[-1] == entry
    assert wallet(alice, "usdSend", destination=NOBODY, amount="9.5")["status"] == "ok"
    assert market.exchange.state.accounts[NOBODY].cash == D("9.5")
    refused = wallet(alice, "usdSend", destination=bob.address, amount="60.1")
    assert refused["response"] == "Insufficient balance for token transfer"
    assert wallet(alice, "usdSend", destination=alice.address, amount="1")["status"] == "err"
    assert books_balance(market.core) == 0


def test_what_positions_need_cannot_leave(market):
    """Withdrawable is what exceeds max(initial margin, a tenth of the notional)."""
    alice = Trader(market.exchange, "alice", "10000")
    alice.act({"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 40})
    market.trade(alice, 0, "B", "0.5", "100000")
    left = 10_000 - D("22.5") - 5_000
    assert free(alice) == left
    over = str(left + D("0.000001"))
    assert wallet(alice, "withdraw3", destination=alice.address, amount=over)["status"] == "err"
    assert wallet(alice, "withdraw3", destination=alice.address, amount=str(left))["status"] == "ok"


def test_the_perp_and_the_spot_balance(market):
    """usdClassTransfer moves USDC to spot and back, never more than there is."""
    alice = Trader(market.exchange, "alice", "100")
    assert wallet(alice, "usdClassTransfer", amount="40", toPerp=False)["status"] == "ok"
    assert (free(alice), spot(alice)) == (60, "40.0")
    assert ledger(alice)[-1] == {"type": "accountClassTransfer", "usdc": "40.0", "toPerp": False}
    assert wallet(alice, "usdClassTransfer", amount="40.1", toPerp=True)["response"] == (
        "Insufficient balance for token transfer"
    )
    assert wallet(alice, "usdClassTransfer", amount="15", toPerp=True)["status"] == "ok"
    assert (free(alice), spot(alice)) == (75, "25.0")
    assert books_balance(market.core) == 0


def test_sending_an_asset_between_balances_and_accounts(market):
    """sendAsset moves USDC from any balance to any other; other tokens and dexes are refused."""
    alice, bob = Trader(market.exchange, "alice", "100"), Trader(market.exchange, "bob", "1")

    def send(amount: str, source: str, target: str, to: Trader, token: str = "USDC") -> str:
        answer = wallet(
            alice,
            "sendAsset",
            destination=to.address,
            sourceDex=source,
            destinationDex=target,
            token=token,
            amount=amount,
            fromSubAccount="",
        )
        return "ok" if answer["status"] == "ok" else answer["response"]

    assert send("10", "", "spot", bob) == "ok"
    assert (free(alice), spot(bob)) == (90, "10.0")
    assert ledger(bob)[-1]["type"] == "send"
    assert send("20", "", "spot", alice) == "ok"
    assert send("5", "spot", "", bob) == "ok"
    assert (free(alice), spot(alice), free(bob)) == (70, "15.0", 6)
    assert send("16", "spot", "", bob) == "Insufficient balance for token transfer"
    for refused in (
        send("1", "", "", alice),
        send("1", "xyz", "", bob),
        send("1", "", "", bob, token="HYPE:0x1"),
    ):
        assert refused == "Invalid send"
    assert books_balance(market.core) == 0


def test_buying_request_weight(market):
    """Weight costs 0.0005 USDC a unit and raises the address's cap."""
    alice = Trader(market.exchange, "alice", "100")
    before = alice.ask("userRateLimit")["nRequestsCap"]
    assert alice.act({"type": "reserveRequestWeight", "weight": 1_000})["status"] == "ok"
    assert alice.ask("userRateLimit")["nRequestsCap"] == before + 1_000
    assert free(alice) == D("99.5")
    assert alice.act({"type": "reserveRequestWeight", "weight": 10**9})["status"] == "err"
    assert books_balance(market.core) == 0


def test_ledger_pages_and_shape(market, shared_folder):
    """At most 500 entries a question, from the time asked for; a recorded one has our keys."""
    alice = Trader(market.exchange, "alice", "1000")
    for _ in range(505):
        market.exchange.faucet(alice.address, D(1))
    first = alice.ask("userNonFundingLedgerUpdates", startTime=0)
    assert len(first) == 500
    assert alice.ask("userNonFundingLedgerUpdates", startTime=first[0]["time"] + 1) == []
    path = shared_folder / "fixtures" / "http_info" / "userNonFundingLedgerUpdates_first3.json"
    recorded = json.loads(path.read_text())["response"]["body"][0]
    assert recorded.keys() == first[0].keys()
    assert recorded["delta"].keys() == first[0]["delta"].keys()


def test_the_portfolio_follows_value_and_profit(market, shared_folder):
    """Values, profit without the money brought in, and volume, by period and hour; bounded."""
    alice = Trader(market.exchange, "alice", "1000")
    market.later(HOUR_MS)
    market.trade(alice, 0, "B", "0.01", "100000")
    market.price("BTC", "110000")
    wallet(alice, "usdClassTransfer", amount="100", toPerp=False)
    market.exchange.faucet(alice.address, D(500))
    market.later(HOUR_MS)
    rows = dict(alice.ask("portfolio"))
    path = shared_folder / "fixtures" / "http_info" / "portfolio_even_periods.json"
    for name, view in json.loads(path.read_text())["response"]["body"]:
        assert rows[name].keys() == view.keys()
    value = D(alice.ask("clearinghouseState")["marginSummary"]["accountValue"])
    assert D(rows["perpDay"]["accountValueHistory"][-1][1]) == value
    assert D(rows["day"]["accountValueHistory"][-1][1]) == value + 100
    # 0.01 BTC gained 10000, less the fee and an hour's funding.
    profit = 100 - D("0.45") - D("0.01375")
    assert D(rows["allTime"]["pnlHistory"][-1][1]) == profit
    assert rows["perpAllTime"]["vlm"] == "1000.0"
    for _ in range(1, 60):
        market.later(HOUR_MS)
    assert len(dict(alice.ask("portfolio"))["week"]["accountValueHistory"]) <= 100
