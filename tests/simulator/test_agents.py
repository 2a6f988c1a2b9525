"""API wallets and sub-accounts: who may sign for whom; the SDK signs what wallets sign."""

from decimal import Decimal
from typing import Any

import eth_account
import pytest
from exchange_world import ORIGIN_MS, limit
from hyperliquid.utils import signing as sdk
from wallets import Agent, approve, key_of

from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.protocol.forms.common import UnprocessableError

NOOP = {"type": "noop"}
DAY_MS = 86_400_000
NOBODY = "0x" + "0" * 40
OK = {"status": "ok", "response": {"type": "default"}}


def test_an_agent_trades_for_its_master(exchange, trader):
    """Its orders, fills and used requests are the master's, queries with its own address are
    empty, and its role names the master."""
    alice, bot = trader(), Agent(exchange, "bot")
    refused = f"User or API Wallet {bot.address} does not exist."
    assert bot.act(NOOP)["response"] == refused
    assert approve(alice, "alice", bot.address) == OK
    used = alice.ask("userRateLimit")["nRequestsUsed"]
    bot.order(limit("B", "0.01", "101000", "Ioc"))
    assert alice.position() == Decimal("0.01")
    assert alice.ask("userRateLimit")["nRequestsUsed"] == used + 1
    assert bot.ask("clearinghouseState")["assetPositions"] == []
    assert bot.ask("userRole") == {"role": "agent", "data": {"user": alice.address}}
    assert alice.ask("userRole") == {"role": "user"}
    assert alice.ask("extraAgents") == []
    assert alice.ask("webData2")["agentAddress"] == bot.address
    assert bot.act({"type": "createSubAccount", "name": "x"}) == {
        "status": "err",
        "response": f"Must deposit before performing actions. User: {bot.address}",
    }


def test_an_agent_may_not_sign_for_the_wallet(exchange, trader):
    """A user-signed action by an agent acts for the agent, which has no deposit."""
    alice, bot = trader(), Agent(exchange, "bot")
    approve(alice, "alice", bot.address)
    answer = approve(bot, "bot", "0x" + "11" * 20)
    text = f"Must deposit before performing actions. User: {bot.address}"
    assert answer == {"status": "err", "response": text}


@pytest.mark.parametrize("change", ["agentName", "agentAddress", "nonce", "network"])
def test_a_user_signature_covers_everything(exchange, trader, change):
    """Changing any signed field makes the signer somebody else, who never deposited."""
    alice = trader()
    action = {
        "type": "approveAgent",
        "agentAddress": "0x" + "11" * 20,
        "agentName": "bot",
        "nonce": ORIGIN_MS + 1,
    }
    wallet = eth_account.Account.from_key(key_of("alice"))
    signature = sdk.sign_agent(wallet, action, change == "network")
    nonce = ORIGIN_MS + 1
    if change == "nonce":
        nonce += 1
    elif change != "network":
        action[change] = {"agentName": "rob", "agentAddress": "0x" + "12" * 20}[change]
    answer = exchange.act({"action": action, "nonce": nonce, "signature": signature})
    assert answer["response"].startswith("Must deposit before performing actions. User: 0x")
    assert alice.address not in answer["response"]
    assert alice.ask("extraAgents") == []


def test_any_chain_may_sign_and_a_malformed_signature_is_named(exchange, trader):
    """signatureChainId is only the domain's; r, s and v must be recoverable."""
    trader()
    action = {
        "type": "approveAgent",
        "hyperliquidChain": "Testnet",
        "signatureChainId": "0xa4b1",
        "agentAddress": "0x" + "11" * 20,
        "agentName": "",
        "nonce": ORIGIN_MS,
    }
    wallet = eth_account.Account.from_key(key_of("alice"))
    types = [
        {"name": "hyperliquidChain", "type": "string"},
        {"name": "agentAddress", "type": "address"},
        {"name": "agentName", "type": "string"},
        {"name": "nonce", "type": "uint64"},
    ]
    data = sdk.user_signed_payload("HyperliquidTransaction:ApproveAgent", types, action)
    envelope = {
        "action": action,
        "nonce": ORIGIN_MS,
        "signature": sdk.sign_inner(wallet, data),
    }
    broken = envelope | {"signature": {"r": "0x" + "ff" * 32, "s": "0x1", "v": 27}}
    assert exchange.act(broken)["response"] == "Unable to recover signer."
    assert exchange.act(envelope) == OK
    with pytest.raises(UnprocessableError):
        exchange.act(envelope | {"action": action | {"signatureChainId": "mainnet"}})


def test_named_agents_are_limited_replaced_and_expire(exchange, trader, clock):
    """Three names at most; the same name replaces and deregisters; an address is good once; an
    expiry in the past is refused and one that passes prunes the agent."""
    alice = trader()
    bots = [Agent(exchange, f"bot{number}") for number in range(6)]
    until = clock.now_ms() + DAY_MS
    assert approve(alice, "alice", bots[0].address, f"one valid_until {until}") == OK
    assert approve(alice, "alice", bots[1].address, "two") == OK
    assert approve(alice, "alice", bots[2].address, "three") == OK
    assert alice.ask("extraAgents")[0] == {
        "name": "one",
        "address": bots[0].address,
        "validUntil": until,
    }
    limit_text = "Too many extra agents for cumulative volume traded. Current limit is 3"
    assert approve(alice, "alice", bots[3].address, "four")["response"] == limit_text
    assert approve(alice, "alice", bots[3].address) == OK  # the unnamed one is extra
    used = approve(alice, "alice", bots[1].address, "three")
    assert used["response"] == "Extra agent already used."
    assert approve(alice, "alice", bots[4].address, "three") == OK
    assert "does not exist" in bots[2].act(NOOP)["response"]
    late = approve(alice, "alice", bots[5].address, f"one valid_until {clock.now_ms()}")
    assert late["response"] == "Agent valid_until already expired."
    with pytest.raises(UnprocessableError, match="invalid agentName"):
        approve(alice, "alice", bots[5].address, "n" * 17)
    assert bots[0].act(NOOP) == OK
    clock.set(until)
    for bot in bots:
        bot.nonce = until
    assert "does not exist" in bots[0].act(NOOP)["response"]
    assert [item["name"] for item in alice.ask("extraAgents")] == ["two", "three"]
    clock.set(until + 180 * DAY_MS)
    assert alice.ask("extraAgents") == []


def test_removing_an_agent_takes_five_seconds(exchange, trader, clock):
    """The zero address removes at once, and the next approval must wait."""
    alice, bot = trader(), Agent(exchange, "bot")
    approve(alice, "alice", bot.address, "one")
    assert approve(alice, "alice", NOBODY, "one") == OK
    assert "does not exist" in bot.act(NOOP)["response"]
    other = Agent(exchange, "other").address
    again = approve(alice, "alice", other, "one")
    assert again["response"] == "User has pending agent removal"
    clock.set(clock.now_ms() + 5_000)
    assert approve(alice, "alice", other, "one") == OK


def test_sub_accounts_trade_apart(exchange, trader):
    """After enough volume a master opens one; master and agent act for it through `vaultAddress`,
    its budget is its own, and nobody else may."""
    alice, bob, bot = trader(), trader("bob"), Agent(exchange, "bot")
    approve(alice, "alice", bot.address)
    gate = alice.act({"type": "createSubAccount", "name": "one"})
    assert gate["response"] == (
        "Cannot create sub-accounts until enough volume traded. Required: $100000. Traded: $0."
    )
    exchange.state.sub_account_volume = Decimal(0)
    made = alice.act({"type": "createSubAccount", "name": "one"})
    sub = made["response"]["data"]
    assert made == {"status": "ok", "response": {"type": "createSubAccount", "data": sub}}
    exchange.faucet(sub, Decimal(1_000))
    order = {"type": "order", "orders": [limit("B", "0.01", "90000")], "grouping": "na"}
    assert alice.act(order, vaultAddress=sub)["status"] == "ok"
    assert bot.act(order, vaultAddress=sub)["status"] == "ok"
    orders = exchange.info({"type": "openOrders", "user": sub})
    assert len(orders) == 2
    assert alice.ask("openOrders") == []
    assert exchange.info({"type": "userRateLimit", "user": sub})["nRequestsUsed"] == 2
    listed = alice.ask("subAccounts")
    assert [(item["name"], item["subAccountUser"]) for item in listed] == [("one", sub)]
    assert listed[0]["clearinghouseState"]["marginSummary"]["accountValue"] == "1000.0"
    assert alice.ask("subAccounts2")[0]["dexToClearinghouseState"][0][0] == ""
    role = {"type": "userRole", "user": sub}
    assert exchange.info(role) == {"role": "subAccount", "data": {"master": alice.address}}
    foreign = bob.act(order, vaultAddress=sub)
    assert foreign["response"] == f"Sub-account {sub} is not registered to {bob.address}"
    nowhere = "0x" + "77" * 20
    renamed = {"type": "subAccountModify", "subAccountUser": sub, "name": "two"}
    assert alice.act(renamed) == OK
    assert alice.ask("subAccounts")[0]["name"] == "two"
    assert bob.act(renamed)["status"] == "err"
    missing = bob.act(order, vaultAddress=nowhere)
    assert missing["response"] == f"Vault not registered: {nowhere}"
    assert bob.ask("subAccounts") is None


def test_agents_and_sub_accounts_survive_a_snapshot(exchange, trader, clock):
    """The restored exchange knows the same agents, and used addresses stay used."""
    alice, bot = trader(), Agent(exchange, "bot")
    approve(alice, "alice", bot.address, "one")
    saved = exchange.snapshot()
    copy = LocalExchange.restored(saved, clock=clock)
    assert copy.snapshot() == saved
    assert copy.info({"type": "extraAgents", "user": alice.address}) == alice.ask("extraAgents")
    alice.exchange = copy
    again = approve(alice, "alice", bot.address, "two")
    assert again["response"] == "Extra agent already used."


def test_approvals_and_referrals(exchange, trader):
    """Builders need a balance, referral codes need volume and must exist, and modes are kept."""
    alice, builder = trader(), trader("builder", "100")
    wallet = eth_account.Account.from_key(key_of("alice"))

    def approve_fee(address: str, rate: str) -> dict[str, Any]:
        alice.nonce += 1
        action = {
            "type": "approveBuilderFee",
            "maxFeeRate": rate,
            "builder": address,
            "nonce": alice.nonce,
        }
        signature = sdk.sign_approve_builder_fee(wallet, action, False)
        return exchange.act({"action": action, "nonce": alice.nonce, "signature": signature})

    poor = approve_fee("0x" + "31" * 20, "0.01%")
    assert poor["response"] == "Builder has insufficient balance to be approved."
    assert approve_fee(builder.address, "0.01%") == OK
    assert alice.ask("maxBuilderFee", builder=builder.address) == 10
    assert alice.ask("approvedBuilders") == [builder.address]
    order = {"type": "order", "orders": [limit("B", "0.1", "101000", "Ioc")], "grouping": "na"}
    worth = Decimal(builder.ask("clearinghouseState")["withdrawable"])
    terms = {"builder": {"b": builder.address, "f": 10}}
    assert alice.act(order | terms)["status"] == "ok"
    fee = Decimal(alice.ask("userFills")[0]["builderFee"])
    notional = Decimal("0.1") * Decimal(alice.ask("userFills")[0]["px"])
    assert fee == pytest.approx(notional / 10_000, abs=Decimal("0.00001"))
    assert Decimal(builder.ask("clearinghouseState")["withdrawable"]) - worth == fee
    dear = alice.act(order | {"builder": {"b": builder.address, "f": 11}})
    assert "error" in dear["response"]["data"]["statuses"][0]
    with pytest.raises(UnprocessableError, match="invalid maxFeeRate"):
        approve_fee(builder.address, "0.01")
    assert approve_fee(builder.address, "0%") == OK
    assert alice.ask("maxBuilderFee", builder=builder.address) == 0
    code = {"type": "setReferrer", "code": "BUILD"}
    assert alice.act(code)["response"] == "Referral code not registered"
    register = {"type": "registerReferrer", "code": "BUILD"}
    text = "Cannot generate referral code until enough volume traded"
    assert builder.act(register)["response"] == text
    assert builder.ask("referral")["referrerState"]["stage"] == "needToTrade"
    exchange.state.referral_volume = Decimal(0)
    assert builder.act(register) == OK
    assert alice.act(code) == OK
    assert alice.ask("referral")["referredBy"] == {"referrer": builder.address, "code": "BUILD"}
    assert builder.ask("referral")["referrerState"]["data"]["nReferrals"] == 1
    assert alice.ask("userAbstraction") == "default"
    assert alice.act({"type": "agentSetAbstraction", "abstraction": "u"}) == OK
    assert alice.ask("userAbstraction") == "unifiedAccount"
    poor = builder.act({"type": "agentSetAbstraction", "abstraction": "p"})
    assert poor["response"].startswith("Portfolio margin requires account value of $10000")
