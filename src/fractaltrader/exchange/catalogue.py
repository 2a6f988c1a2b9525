"""Every error the venue is known to answer with: one row each, as numbered in hyperliquid.md 10."""

from dataclasses import dataclass, replace

from fractaltrader.exchange.errors import (
    ConfigurationError,
    CriticalError,
    ExchangeError,
    HarmlessError,
    OrderGoneError,
    RateLimitedError,
    RejectedError,
    TransientError,
    UnknownOutcomeError,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One error: where it appears, its texts, what it means and what to do.

    `shape`: S one order of an action, D a TWAP, E the whole action, H an HTTP status, W a WebSocket
    error frame, I an /info body, T the transport itself, L before anything is sent.
    `action_kind` is what it means for an action that was under way; elsewhere it is `kind`.
    """

    number: int
    shape: str
    kind: type[ExchangeError]
    action_kind: type[ExchangeError]
    statuses: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()
    remedy: str = ""


_KINDS: dict[str, type[ExchangeError]] = {
    "rejected": RejectedError,
    "gone": OrderGoneError,
    "configuration": ConfigurationError,
    "critical": CriticalError,
    "transient": TransientError,
    "budget": RateLimitedError,
    "unknown": UnknownOutcomeError,
    "harmless": HarmlessError,
}

# A row: number, shape, kind (and "unknown-for-actions"), HTTP statuses; its texts; > its remedy.
# Texts are whole texts, not keywords: {n} is a number, {address} 0x and 40 hex digits, {word} one
# word, {json} an echoed JSON value, {rest} words that the sources do not record. A last period and
# the suffix " asset=N" are optional everywhere. Six blanks continue the line before.
_TABLE = """
1 SE rejected
  Price must be divisible by tick size
  > our own fault: the price broke the tick rule; reload the instruments, report it
2 S rejected
  Order must have minimum value of ${n}
  > the order is below 10 USDC; raise the risk or close the whole position
3 S rejected
  Order must have minimum value of {n} {word}
  > the spot order is below 10 of the quote; make it larger
4 S rejected
  Insufficient margin to place order
  > deposit, close positions or lower risk.max_leverage
5 S gone
  Reduce only order would increase position
  > the position is already flat or on the other side; reconcile
6 S rejected
  Post only order would have immediately matched, bbo was {n}@{n}
  > price anew from the book that the text names
7 S rejected
  Order could not immediately match against any resting orders
  > nothing was filled; a new decision may send a new order
8 S rejected
  Invalid TP/SL price
  > the trigger would fire at once or its limit is on the wrong side; price it anew
9 S rejected
  No liquidity available for market order
  > the book is empty; decide anew once there is a price
10 S rejected
  Order would increase open interest while open interest is capped
  > only closing is possible in this coin for now
11 S rejected
  Order rejected due to price more aggressive than oracle while at open interest cap
  > only prices behind the oracle are taken in this coin for now
12 S transient
  Order would increase open interest too quickly
  > wait some seconds and decide anew
13 S rejected
  Insufficient spot balance
  Order has insufficient spot balance to trade
  (Spot-only) Order has insufficient spot balance to trade
  > deposit the spot token or trade less of it
14 S rejected
  Price too far from oracle
  Order price too far from oracle
  > price anew near the oracle
15 S rejected
  Order would cause position to exceed margin tier limit at current leverage
  > lower the leverage or the size
16 S gone
  Order was never placed, already canceled, or filled
  > the order is gone; reconcile fills and positions
17 S rejected
  Order price cannot be more than 95% away from the reference price
  > price anew; the whole batch was refused
18 SE rejected
  Order price cannot be more than 80% away from the reference price
  > price anew; the whole batch was refused
19 S rejected
  Order has zero size
  > our own fault: the size was rounded to nothing; report it
20 S rejected
  Order has invalid size
  > our own fault: the action was malformed; report it with the incident's context
21 S rejected
  Order has invalid price
  > our own fault: the action was malformed; report it with the incident's context
22 SE rejected
  Orders are empty
  > our own fault: the action was malformed; report it with the incident's context
23 S rejected
  Order value too large. Max is ${n}
  > split the order
24 S rejected
  Order size cannot be larger than half of total supply
  > make the order smaller
25 S rejected
  Too many open orders{rest}
  > cancel resting orders first
26 SE rejected
  Main order cannot be trigger order
  > our own fault: the action was malformed; report it with the incident's context
27 SE rejected
  Unexpected number of trigger orders
  > our own fault: the action was malformed; report it with the incident's context
28 SE rejected
  Trigger order is not reduce only
  Trigger order has unexpected side
  > our own fault: the action was malformed; report it with the incident's context
29 SE configuration
  Placing trigger orders is not enabled on spot trading yet
  > trade the perpetual: spot has no stops on the venue
30 S rejected
  Reduce-only is invalid for spot trading
  > trade the perpetual: spot has no reduce-only orders
31 E rejected
  Order action has different asset classes
  > our own fault: the action was malformed; report it with the incident's context
32 E configuration
  Invalid TIF
  Invalid spot
  unknown asset
  Unknown asset
  Invalid asset {n}
  > the coin list is out of date; restart to load the instruments anew
33 S gone
  Cannot modify canceled or filled order
  > the order is gone; reconcile fills and positions
34 S rejected
  Error placing new order during modify: {rest}
  > the original order is gone and nothing took its place; reconcile and protect
35 S rejected
  Attempted to modify to invalid new order
  > the new order breaks a rule; check what became of the original
36 S transient
  Only post-only orders allowed immediately after a network upgrade
  Only post-only orders allowed immediately after network upgrade
  > wait until the venue has finished its upgrade
37 SE transient
  Trading is halted
  > wait; the venue has stopped trading
38 S rejected
  Cross margin currently only supports reduce-only orders
  Cross margin disabled
  > only closing is possible in this coin with cross margin
39 S rejected
  Outcome has been settled
  > the market is over
40 S rejected
  Cannot increase position when open interest is at cap
  Cannot flip position when open interest is at cap
  Cannot flip position
  Asset open interest is at cap
  > only closing is possible in this coin for now
40 S transient
  Open interest is increasing too quickly. Try again in a few seconds
  > wait some seconds and decide anew
41 E rejected
  Signed action over weight limit of {n}
  > split the batch
42 E critical
  User or API Wallet {address} does not exist
  > check key, network and whether the agent has expired; approve it anew
43 E critical
  Must deposit before performing actions. User: {address}
  > deposit to the account, or use the key of the account that has funds
44 E critical
  Unable to recover signer
  > our own fault: the action was malformed; report it with the incident's context
45 E configuration
  Vault not registered: {address}
  > remove the vault address or give the right one
46 E configuration
  Sub-account {address} is not registered to {address}
  > give the sub-account that belongs to this key
47 E configuration
  Only leader can perform this vault action
  > the account is not allowed to do this; change its set-up on the venue
48 E unknown
  Invalid nonce: duplicate nonce {n}
  > another action with this nonce was accepted, perhaps ours; ask for the client order id
49 E transient
  Invalid nonce: nonce too low {n} < {n}
  > the nonce jumps forward and the action may be sent anew; check this machine's clock
50 E critical
  Invalid nonce: nonce outside (T-2d, T+1d)
  Invalid nonce: nonce {n} is too far from the current time {n}
  > set this machine's clock: it differs from the venue's by a day or more
51 E rejected
  Action already expired
  > it came too late and was not executed; decide anew, check clock and network
52 E budget
  Too many cumulative requests sent ({n} > {n}) for cumulative volume traded ${n}. Place taker
      orders to free up 1 request per USDC traded
  > one action every ten seconds, cancels first, until volume or bought weight frees budget
53 E transient
  User has pending agent removal
  > wait about five seconds
54 E configuration
  Extra agent already used
  > make a new agent key; an address is never used twice
55 E configuration
  Too many extra agents for cumulative volume traded. Current limit is {n}
  > remove an agent first
56 E configuration
  Agent valid_until already expired
  > give a later date
57 E configuration
  Agent can only send asset to same user or their sub-accounts
  > the account is not allowed to do this; change its set-up on the venue
58 E configuration
  Scheduled cancel time too early, must be at least 5 seconds from now
  > schedule it later
59 E configuration
  Cannot set scheduled cancel time until enough volume traded. Required: ${n}. Traded: ${n}
  > rely on resting stops and our own guard: the venue's switch needs more volume
60 E configuration
  Too many scheduled cancels triggered for the day. Limit is {n}
  > wait until 00:00 UTC
61 E configuration
  Invalid leverage value
  > lower risk.max_leverage to what the coin allows
62 E configuration
  Cannot switch leverage type with open position
  > close the position, then restart
63 E configuration
  Cross margin is not allowed for this asset
  > leave the coin out: it has isolated margin only
64 E rejected
  Cross position does not have sufficient margin available to decrease leverage. To decrease
      leverage, deposit more collateral
  > deposit or reduce the position
65 E rejected
  Isolated position does not have sufficient margin available to decrease leverage. To decrease
      leverage, add margin to the position
  > add margin or reduce the position
66 E configuration
  Update to isolated margin cannot be zero
  Cannot update margin for empty position
  Position does not use isolated margin
  > there is no isolated position to change
67 E rejected
  Account does not have sufficient margin available for increase
  Position does not have sufficient margin for reduction
  > deposit or reduce the position
68 E configuration
  Cannot remove isolated margin for this asset. To remove margin, reduce the position
  Cannot remove isolated margin for this asset
  > reduce the position instead
69 SE configuration
  {rest}Manually set leverage to acknowledge new margin tiers. Alternatively, reduce position
      using reduce-only orders or add collateral{rest}
  > restart: the bot sets the leverage at its start, which acknowledges the new tiers
70 SE configuration
  Builder fee has not been approved
  > approve the builder fee with the account's own key
71 E configuration
  Builder has insufficient balance to be approved
  > the builder needs 100 USDC
72 E configuration
  Action disabled when unified account is active
  > the account is not allowed to do this; change its set-up on the venue
73 E rejected
  Insufficient balance for withdrawal
  > withdraw less
74 E rejected
  Insufficient balance for token transfer
  > transfer less
75 E rejected
  Insufficient USDC balance for token transfer gas
  > deposit USDC for the fee
76 E configuration
  Invalid send
  Invalid sub-account transfer from {address} to {address}
  > give addresses this key may move funds between
77 E configuration
  Cannot create sub-accounts until enough volume traded. Required: ${n}. Traded: ${n}
  > the account is not allowed to do this; change its set-up on the venue
78 D rejected
  TWAP order value too small. Min is ${n}, which is ${n} per minute
  > make the order larger or shorter
79 D gone
  TWAP was never placed, already canceled, or filled
  > the order is gone; reconcile
80 D rejected
  Reduce-only TWAP order would increase position
  Exceeded max number of active TWAP orders
  TWAP order value too large. Max is ${n}
  > change the order
81 E configuration
  Insufficient delegatable balance for priority order
  > send it without a priority fee
82 E configuration
  Portfolio margin requires account value of ${n} or total volume of ${n}
  Abstraction transition not allowed
  > the account is not allowed to do this; change its set-up on the venue
83 E configuration
  Cannot generate referral code until enough volume traded
  Referral code not registered
  No rewards to claim
  Insufficient stake
  Unknown validator
  > nothing that trading needs; leave it
84 E configuration
  Unknown coin {word}
  > give a coin that the venue lists
85 I gone
  {"status":"unknownOid"}
  > ask again for some seconds after a trade; then the order never arrived
86 I configuration
  null
  > give a coin that the venue lists
87 H critical 422
  Failed to deserialize the JSON body into the target type{rest}
  > our own fault: the action was malformed; report it with the incident's context
88 H critical 400
  HTTP 400
  > our own fault: the action was malformed; report it with the incident's context
89 H critical 401 403
  HTTP 401
  HTTP 403
  > the venue's edge blocks this machine: check its region, proxy and request rate
90 H critical 404 405
  HTTP 404
  HTTP 405
  > venue.url is not the address of a Hyperliquid API
91 H critical 415
  HTTP 415
  > our own fault: the action was malformed; report it with the incident's context
92 H budget 429
  HTTP 429
  > nothing was executed; every process of this machine slows down (`fractal limits`)
93 H transient unknown-for-actions 500
  HTTP 500
  > a read is repeated; an action is settled by asking for its client order id
94 H transient unknown-for-actions 502 503
  HTTP 502
  HTTP 503
  > a read is repeated; an action is settled by asking for its client order id
95 H transient unknown-for-actions 504
  HTTP 504
  > a read is repeated; an action is settled by asking for its client order id
96 H transient unknown-for-actions
  HTTP 200 with a body that is not the JSON expected
  > a read is repeated; an action is settled by asking for its client order id
97 T transient unknown-for-actions
  connection refused, reset or closed by the venue
  > a read is repeated; an action is settled by asking for its client order id
98 T transient unknown-for-actions
  connect timeout or read timeout
  > a read is repeated; an action is settled by asking for its client order id
99 W critical
  Error parsing JSON into valid websocket request: {json}
  > our own fault: the action was malformed; report it with the incident's context
100 W harmless
  Already subscribed: {json}
  Already unsubscribed: {json}
  > none needed
101 W configuration
  Invalid subscription {json}
  > check coins and timeframe: the venue has no such feed
102 W configuration
  Cannot track more than {n} total users
  > stop other programs on this address that watch users
103 W configuration
  Cannot subscribe to more than {n} channels
  > trade fewer coins or stop other programs on this address
104 W budget
  too many pending post requests id={n}
  > that request was not executed; wait for the others' answers
105 W budget
  429 Too Many Requests
  > nothing was executed; every process of this machine slows down (`fractal limits`)
106 T transient
  the socket was closed or stayed silent
  > the stream reconnects, subscribes anew and asks for what it missed
107 T transient
  a feed stopped although the socket is open
  > the stream reconnects, subscribes anew and asks for what it missed
108 L rejected
  float_to_wire causes rounding
  > our own fault: the action was malformed; report it with the incident's context
"""


def _parsed(table: str) -> tuple[Row, ...]:
    rows: list[Row] = []
    for line in table.strip().replace("\n      ", " ").splitlines():
        if line.startswith("  > "):
            rows[-1] = replace(rows[-1], remedy=line.removeprefix("  > "))
        elif line.startswith("  "):
            rows[-1] = replace(rows[-1], texts=(*rows[-1].texts, line[2:]))
        else:
            rows.append(_head(*line.split()))
    return tuple(rows)


def _head(number: str, shape: str, kind: str, *rest: str) -> Row:
    ambiguous = rest[:1] == ("unknown-for-actions",)
    statuses = tuple(int(status) for status in rest[ambiguous:])
    meaning = _KINDS[kind]
    return Row(int(number), shape, meaning, UnknownOutcomeError if ambiguous else meaning, statuses)


ROWS = _parsed(_TABLE)
