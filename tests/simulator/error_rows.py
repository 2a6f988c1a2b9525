"""hyperliquid.md section 10 as a table: the row, the venue's text, and how it is provoked.

`by` says through what: the official SDK's own method, the SDK's signing functions around an action
that it does not offer (RAW), or a plain request (HTTP).
"""

# ruff: noqa: E501 - one row, one line

import json
from decimal import Decimal
from typing import NamedTuple

from account_provocations import (
    acts,
    agent_again,
    agent_sends,
    as_agent,
    bad_sub_account_transfer,
    built,
    cross_where_isolated,
    eleventh_schedule,
    for_vault,
    foreign_sub_account,
    four_agents,
    gated_sub_account,
    leverage,
    lowered,
    malformed,
    many_twaps,
    margin_of,
    nonces,
    out_of_budget,
    removing_agent,
    schedule,
    spot_dex,
    stale,
    strict,
    switched,
    twap,
    twap_cancel,
    unified,
)
from http_provocations import (
    garbled,
    limited,
    lost,
    rounding,
    sdk_failure,
    server_error,
    status_and_body,
)
from order_provocations import (
    batch,
    beyond_tier,
    capped,
    during,
    far_from_oracle,
    modified,
    modified_to_refused,
    no_liquidity,
    order,
    priority,
    too_many_orders,
)
from provoking import ALO, DAY_MS, GTC, IOC, NOWHERE, Provocation, leg, said, trigger
from served_world import address_of


class Row(NamedTuple):
    """A row of the catalogue, the text it has, how it is provoked, and by what."""

    number: int
    text: str
    provoke: Provocation
    by: str = "SDK"


NONCE = r"\d{13}"
ADDRESS = "0x[0-9a-f]{40}"
RO = {"reduce_only": True}
SL_90, TP_110 = trigger(90_000, "sl"), trigger(110_000, "tp")

# Texts are regular expressions, matched whole.
ROWS: list[Row] = [
    Row(1, r"Price must be divisible by tick size\. asset=0", order("BTC", True, 0.01, 90_000.5, GTC)),
    Row(2, r"Order must have minimum value of \$10\. asset=0", order("BTC", True, 0.0001, 90_000, GTC)),
    Row(4, r"Insufficient margin to place order\. asset=0", order("BTC", True, 9, 90_000, GTC)),
    Row(5, r"Reduce only order would increase position\. asset=0", order("BTC", True, 0.01, 90_000, GTC, **RO)),
    Row(6, r"Post only order would have immediately matched, bbo was \d+@\d+\. asset=0", order("BTC", True, 0.01, 101_000, ALO)),
    Row(7, r"Order could not immediately match against any resting orders\. asset=0", order("BTC", True, 0.01, 90_000, IOC)),
    Row(8, r"Invalid TP/SL price\. asset=0", order("BTC", False, 0.01, 110_000, trigger(110_000, "sl"))),
    Row(9, r"No liquidity available for market order\.", no_liquidity),
    Row(10, "Order would increase open interest while open interest is capped", lambda w, n: capped(w, n, IOC, 101_000, interest_cap=Decimal(1))),
    Row(11, "Order rejected due to price more aggressive than oracle while at open interest cap", lambda w, n: capped(w, n, GTC, 100_001, interest_cap=Decimal(1))),
    Row(12, "Order would increase open interest too quickly", lambda w, n: capped(w, n, IOC, 101_000, interest_growth=Decimal(1))),
    Row(14, "Price too far from oracle asset=1", far_from_oracle),
    Row(15, "Order would cause position to exceed margin tier limit at current leverage", beyond_tier),
    Row(16, r"Order was never placed, already canceled, or filled\. asset=0", lambda w, n: said(w.sdk(n).cancel("BTC", 1))),
    Row(17, "Order price cannot be more than 95% away from the reference price", batch(leg(True, 0.01, 1_000, GTC), leg(True, 0.01, 90_000, GTC))),
    Row(19, r"Order has zero size\.", order("BTC", True, 0, 90_000, GTC)),
    Row(20, r"Order has invalid size\.", order("BTC", True, 0.010_001, 90_000, GTC)),
    Row(21, r"Order has invalid price\.", order("BTC", True, 0.01, 0, GTC)),
    Row(22, r"Orders are empty\.", batch()),
    Row(23, r"Order value too large\. Max is \$30000000\.", order("BTC", True, 400, 100_000, IOC)),
    Row(25, r"Too many open orders.*", too_many_orders),
    Row(26, r"Main order cannot be trigger order\.", batch(leg(False, 0.01, 90_000, SL_90, only=True), leg(False, 0.01, 110_000, TP_110, only=True), grouping="normalTpsl")),
    Row(27, "Unexpected number of trigger orders", batch(leg(True, 0.01, 90_000, GTC), grouping="normalTpsl")),
    Row(28, r"Trigger order is not reduce only\.", batch(leg(True, 0.01, 90_000, GTC), leg(False, 0.01, 85_000, trigger(85_000, "sl")), grouping="normalTpsl")),
    Row(28, r"Trigger order has unexpected side\.", batch(leg(True, 0.01, 90_000, GTC), leg(True, 0.01, 85_000, trigger(85_000, "sl"), only=True), grouping="normalTpsl")),
    Row(32, "Invalid TIF", priority(1, GTC), "RAW"),
    Row(33, "Cannot modify canceled or filled order", lambda w, n: said(w.sdk(n).modify_order(1, "BTC", True, 0.01, 90_000, GTC))),
    Row(34, r"Error placing new order during modify: Order must have minimum value of \$10\. asset=0", modified_to_refused, "RAW"),
    Row(35, "Attempted to modify to invalid new order", lambda w, n: modified(w, n, 101_000, GTC)),
    Row(36, "Only post-only orders allowed immediately after a network upgrade", during("post_only")),
    Row(37, r"Trading is halted\.", during("halt")),
    Row(41, r"Signed action over weight limit of 200\.", lambda w, n: said(w.sdk(n).bulk_cancel([{"coin": "BTC", "oid": 1}] * 201))),
    Row(42, f"User or API Wallet {ADDRESS} does not exist\\.", lambda w, n: said(w.sdk(n, 0).order("BTC", True, 0.01, 90_000, GTC))),
    Row(43, f"Must deposit before performing actions\\. User: {ADDRESS}", lambda w, n: said(w.sdk(n, 0).usd_transfer(1.0, NOWHERE))),
    Row(43, f"Must deposit before performing actions\\. User: {ADDRESS}", as_agent),
    Row(44, r"Unable to recover signer\.", malformed, "HTTP"),
    Row(45, f"Vault not registered: {NOWHERE}", for_vault),
    Row(46, f"Sub-account {ADDRESS} is not registered to {ADDRESS}", foreign_sub_account),
    Row(48, f"Invalid nonce: duplicate nonce {NONCE}", nonces(1_000, 1_000)),
    Row(49, f"Invalid nonce: nonce too low {NONCE} < {NONCE}", nonces(*range(1_000, 1_100), 1)),
    Row(50, r"Invalid nonce: .*", nonces(-3 * DAY_MS)),
    Row(50, r"Invalid nonce: .*", nonces(2 * DAY_MS)),
    Row(51, "Action already expired", stale),
    Row(52, r"Too many cumulative requests sent \(10002 > 10000\) for cumulative volume traded \$0(\.00?)?\. Place taker orders to free up 1 request per USDC traded\.", out_of_budget),
    Row(53, "User has pending agent removal", removing_agent),
    Row(54, r"Extra agent already used\.", agent_again, "RAW"),
    Row(55, "Too many extra agents for cumulative volume traded. Current limit is 3", four_agents),
    Row(56, r"Agent valid_until already expired\.", lambda w, n: said(w.sdk(n).approve_agent("bot valid_until 1")[0])),
    Row(57, r"Agent can only send asset to same user or their sub-accounts\.", agent_sends, "RAW"),
    Row(58, r"Scheduled cancel time too early, must be at least 5 seconds from now\.", schedule(1_000, 0)),
    Row(59, r"Cannot set scheduled cancel time until enough volume traded\. Required: \$1000000\. Traded: \$0\.", schedule(60_000, 1_000_000)),
    Row(60, "Too many scheduled cancels triggered for the day. Limit is 10", eleventh_schedule),
    Row(61, "Invalid leverage value", leverage(41)),
    Row(62, r"Cannot switch leverage type with open position\.", switched),
    Row(63, r"Cross margin is not allowed for this asset\.", cross_where_isolated),
    Row(64, r"Cross position does not have sufficient margin available to decrease leverage\. To decrease leverage, deposit more collateral\.", lowered(cross=True)),
    Row(65, r"Isolated position does not have sufficient margin available to decrease leverage\. To decrease leverage, add margin to the position\.", lowered(cross=False)),
    Row(66, r"Update to isolated margin cannot be zero\.", margin_of(0.0, size=0.01, cross=False)),
    Row(66, r"Cannot update margin for empty position\.", margin_of(1.0, size=0, cross=False)),
    Row(66, r"Position does not use isolated margin\.", margin_of(1.0, size=0.01, cross=True)),
    Row(67, r"Account does not have sufficient margin available for increase\.", margin_of(20_000.0, size=0.01, cross=False)),
    Row(67, r"Position does not have sufficient margin for reduction\.", margin_of(-90.0, size=0.01, cross=False)),
    Row(68, r"Cannot remove isolated margin for this asset\. To remove margin, reduce the position\.", strict),
    Row(70, r"Builder fee has not been approved\.", built),
    Row(71, r"Builder has insufficient balance to be approved\.", lambda w, n: said(w.sdk(n).approve_builder_fee(NOWHERE, "0.01%"))),
    Row(72, "Action disabled when unified account is active", unified),
    Row(73, "Insufficient balance for withdrawal", lambda w, n: said(w.sdk(n).withdraw_from_bridge(10_001.0, NOWHERE))),
    Row(74, "Insufficient balance for token transfer", lambda w, n: said(w.sdk(n).usd_transfer(10_001.0, NOWHERE))),
    Row(76, "Invalid send", spot_dex),
    Row(76, f"Invalid sub-account transfer from {ADDRESS} to {ADDRESS}", bad_sub_account_transfer),
    Row(77, r"Cannot create sub-accounts until enough volume traded\. Required: \$100000\. Traded: \$0\.", gated_sub_account),
    Row(78, r"TWAP order value too small\. Min is \$100.*", twap(s="0.0005"), "RAW"),
    Row(79, r"TWAP was never placed, already canceled, or filled\.", twap_cancel, "RAW"),
    Row(80, r"Reduce-only TWAP order would increase position\.", twap(r=True), "RAW"),
    Row(80, r"TWAP order value too large\. Max is \$300000000\.", twap(s="4000"), "RAW"),
    Row(80, r"Exceeded max number of active TWAP orders\.", many_twaps, "RAW"),
    Row(81, "Insufficient delegatable balance for priority order", priority(1, ALO), "RAW"),
    Row(82, r"Portfolio margin requires account value of \$10000 or total volume of \$5000000\.", lambda w, n: said(w.sdk(n, 10).agent_set_abstraction("p"))),
    Row(82, "Abstraction transition not allowed", lambda w, n: said(w.sdk(n).user_set_abstraction(address_of(n), "nonsense"))),
    Row(83, "Cannot generate referral code until enough volume traded", acts({"type": "registerReferrer", "code": "X"}), "RAW"),
    Row(83, "Referral code not registered", lambda w, n: said(w.sdk(n).set_referrer("NOBODY"))),
    Row(83, "No rewards to claim", acts({"type": "claimRewards"}), "RAW"),
    Row(83, "Unknown validator", lambda w, n: said(w.sdk(n).token_delegate(NOWHERE, 1, False))),
    Row(85, "unknownOid", lambda w, n: w.info().query_order_by_oid(w.fund(n), 1)["status"]),
    Row(86, "null", lambda w, n: json.dumps(w.info().post("/info", {"type": "l2Book", "coin": "NO"}))),
    Row(86, "null", lambda w, n: json.dumps(w.info().query_sub_accounts(w.fund(n)))),
    Row(86, "null", lambda w, n: json.dumps(w.info().post("/info", {"type": "vaultDetails", "vaultAddress": NOWHERE}))),
    Row(87, r"422 Failed to deserialize the JSON body into the target type.*", lambda w, n: sdk_failure(lambda: w.info().post("/info", {"type": "nope"}))),
    Row(88, r"400 Failed to parse the request body as JSON.*", lambda w, n: status_and_body(w, "POST", "/info", data="{", headers={"Content-Type": "application/json"}), "HTTP"),
    Row(90, "404 ", lambda w, n: status_and_body(w, "POST", "/nowhere", json={}), "HTTP"),
    Row(90, "405 ", lambda w, n: status_and_body(w, "GET", "/info"), "HTTP"),
    Row(91, "415 Expected request with `Content-Type: application/json`", lambda w, n: status_and_body(w, "POST", "/info", data="{}", headers={"Content-Type": "text/plain"}), "HTTP"),
    Row(92, "429 (None|null)", limited),
    Row(93, "500 null", server_error(500)),
    Row(94, r"502 <html>(.|\n)*", server_error(502)),
    Row(94, r"503 <html>(.|\n)*", server_error(503)),
    Row(95, r"504 <html>(.|\n)*", server_error(504)),
    Row(96, r"Could not parse JSON: .*", garbled),
    Row(97, "ConnectionError", lost("lost_request")),
    Row(97, "ConnectionError", lost("lost_answer")),
    Row(98, "ReadTimeout", lost("timeout", after_ms=1_000)),
    Row(108, "float_to_wire causes rounding", rounding),
]  # fmt: skip
