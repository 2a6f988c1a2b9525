"""What the venue lets one client and one address do (hyperliquid.md section 6).

Every span passes in the faster of two times, the clients' (wall time for real clients) and the
market's. So a replay at sixtyfold speed makes no limit tighter, neither for a client that acts by
the wall clock nor for one that acts by the candle.
"""

from collections import Counter, deque

from fractaltrader.market import Clock
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import CENT
from fractaltrader.simulator.refusal import RefusedError
from fractaltrader.simulator.state import Account

MINUTE_MS = 60_000
# Per client, section 6.1 and 6.3.
WEIGHT_A_MINUTE = 1_200
CONNECTIONS = 10
NEW_CONNECTIONS_A_MINUTE = 30
SUBSCRIPTIONS = 1_000
USERS = 10
MESSAGES_A_MINUTE = 2_000
POSTS_IN_FLIGHT = 100
# Per address, section 6.2.
REQUESTS_FREE = 10_000
CANCELS_EXTRA = 100_000
SLOW_LANE_MS = 10_000
STALE_FACTOR = 5

_LIGHT = frozenset(
    {
        "l2Book",
        "allMids",
        "clearinghouseState",
        "orderStatus",
        "spotClearinghouseState",
        "exchangeStatus",
    }
)
_PER_20_ITEMS = (
    "recentTrades",
    "historicalOrders",
    "userFills",
    "userFillsByTime",
    "fundingHistory",
    "userFunding",
    "nonUserFundingUpdates",
    "twapHistory",
    "userTwapSliceFills",
    "userTwapSliceFillsByTime",
    "delegatorHistory",
    "delegatorRewards",
    "validatorStats",
)
_ITEMS_A_WEIGHT = {"candleSnapshot": 60} | dict.fromkeys(_PER_20_ITEMS, 20)
_BATCHES = ("orders", "cancels", "modifies")


def request_weight(path: str, request: object) -> int:
    """Weight of a request before its answer is known (hyperliquid.md 6.1)."""
    fields = request if isinstance(request, dict) else {}
    if path == "/exchange":
        action = fields.get("action")
        return 1 + _batch_length(action) // 40
    kind = fields.get("type")
    if isinstance(kind, str) and kind in _LIGHT:
        return 2
    return 60 if kind == "userRole" else 20


def answer_weight(request: object, answer: object) -> int:
    """Extra weight of the items that an `/info` answer carries."""
    if not isinstance(request, dict) or not isinstance(answer, list):
        return 0
    kind = request.get("type")
    per = _ITEMS_A_WEIGHT.get(kind) if isinstance(kind, str) else None
    return len(answer) // per if per else 0


def _batch_length(action: object) -> int:
    if not isinstance(action, dict):
        return 0
    batches = (action.get(name) for name in _BATCHES)
    return sum(len(batch) for batch in batches if isinstance(batch, list))


class FasterClock:
    """Time since it was made, by whichever of two clocks has gone further; UTC epoch ms."""

    def __init__(self, market: Clock, clients: Clock) -> None:
        self._market, self._clients = market, clients
        self._begun = market.now_ms(), clients.now_ms()

    def now_ms(self) -> int:
        """Starts at the clients' time."""
        market, clients = self._begun
        gone = max(self._market.now_ms() - market, self._clients.now_ms() - clients)
        return clients + gone


class _LastMinute:
    """How much was used up in the last sixty seconds."""

    def __init__(self) -> None:
        self._uses: deque[tuple[int, int]] = deque()
        self._total = 0

    def total(self, now_ms: int) -> int:
        while self._uses and self._uses[0][0] <= now_ms - MINUTE_MS:
            self._total -= self._uses.popleft()[1]
        return self._total

    def add(self, amount: int, now_ms: int) -> None:
        self._total += amount
        # One entry a tenth of a second bounds the memory whatever the client does.
        if self._uses and now_ms - self._uses[-1][0] < 100:
            last_ms, used = self._uses[-1]
            self._uses[-1] = last_ms, used + amount
        else:
            self._uses.append((now_ms, amount))

    def room(self, amount: int, most: int, now_ms: int) -> bool:
        """Whether `amount` more stays within `most`; uses it up when it does."""
        if self.total(now_ms) + amount > most:
            return False
        self.add(amount, now_ms)
        return True


class ClientMeter:
    """What one client, known by its IP address or its label, has used."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._weight = _LastMinute()
        self._connections = _LastMinute()
        self._messages = _LastMinute()
        self._open = 0
        self._posts = 0
        self._subscriptions = 0
        self._users: Counter[str] = Counter()

    @property
    def is_idle(self) -> bool:
        """Nothing is remembered of the client that could limit it."""
        now = self._clock.now_ms()
        windows = (self._weight, self._connections, self._messages)
        return self._open == 0 and not any(window.total(now) for window in windows)

    def admits(self, path: str, request: object) -> bool:
        """Whether the weight of `request` is there; it is used up. Else the venue says 429."""
        weight = request_weight(path, request)
        return self._weight.room(weight, WEIGHT_A_MINUTE, self._clock.now_ms())

    def charge(self, request: object, answer: object) -> None:
        """Use up the extra weight of an `/info` answer, even beyond what is there."""
        extra = answer_weight(request, answer)
        if extra:
            self._weight.add(extra, self._clock.now_ms())

    def connects(self) -> bool:
        """Whether one more WebSocket may be opened; it counts until `disconnects`."""
        if self._open >= CONNECTIONS:
            return False
        if not self._connections.room(1, NEW_CONNECTIONS_A_MINUTE, self._clock.now_ms()):
            return False
        self._open += 1
        return True

    def disconnects(self) -> None:
        """A WebSocket is gone."""
        self._open -= 1

    def sends(self) -> bool:
        """Whether one more WebSocket message is within the minute's."""
        return self._messages.room(1, MESSAGES_A_MINUTE, self._clock.now_ms())

    def subscription_fault(self, user: str) -> str | None:
        """Why one more subscription (of `user`, or "") is refused, in the venue's words."""
        if self._subscriptions >= SUBSCRIPTIONS:
            # The server's own text is not recorded; a client library uses this one.
            return f"Cannot subscribe to more than {SUBSCRIPTIONS} channels."
        if user and user not in self._users and len(self._users) >= USERS:
            return f"Cannot track more than {USERS} total users."
        return None

    def subscribed(self, user: str) -> None:
        """One more subscription, of `user` or "" when it is about no user."""
        self._subscriptions += 1
        if user:
            self._users[user] += 1

    def unsubscribed(self, user: str) -> None:
        """One subscription less."""
        self._subscriptions -= 1
        if user:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]

    def post_begins(self) -> bool:
        """Whether one more post request may wait for its answer; it counts until `post_ends`."""
        if self._posts >= POSTS_IN_FLIGHT:
            return False
        self._posts += 1
        return True

    def post_ends(self) -> None:
        """A post request was answered."""
        self._posts -= 1


class ClientLimits:
    """The meters of all clients; one that has been idle for a minute is forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._meters: dict[str, ClientMeter] = {}

    def meter(self, client: str) -> ClientMeter:
        """The meter of `client`, an IP address or a label."""
        found = self._meters.get(client)
        if found is None:
            for name in [name for name, meter in self._meters.items() if meter.is_idle]:
                del self._meters[name]
            found = self._meters[client] = ClientMeter(self._clock)
        return found


def request_cap(account: Account) -> int:
    """Actions `account` may send in its life: 10,000 + 1 per USDC traded + those it bought."""
    return REQUESTS_FREE + int(account.volume) + account.requests_bought


def cancel_cap(account: Account) -> int:
    """Cancels may go on beyond `request_cap`, up to this."""
    cap = request_cap(account)
    return min(cap + CANCELS_EXTRA, 2 * cap)


def check_budget(core: Core, user: str, count: int, *, cancels: bool, now_ms: int) -> None:
    """Refuse an action of `count` orders or cancels that the address has no budget for.

    An exhausted address has one action every ten seconds; a refused one does not restart that
    clock. Raises RefusedError.
    """
    if not core.address_limits:
        return
    account = core.account(user)
    cap = cancel_cap(account) if cancels else request_cap(account)
    wanted = account.requests + count
    if wanted <= cap:
        return
    # A time to come is a faster clock's of before a restart.
    if 0 <= now_ms - account.slow_lane_ms < SLOW_LANE_MS:
        traded = account.volume.quantize(CENT)
        raise RefusedError(
            f"Too many cumulative requests sent ({wanted} > {cap}) for cumulative volume traded "
            f"${traded}. Place taker orders to free up 1 request per USDC traded."
        )
    account.slow_lane_ms = now_ms


def consume(core: Core, user: str, count: int) -> None:
    """Note `count` actions of an action that was not refused."""
    core.account(user).requests += count


def consume_stale(core: Core, user: str, count: int) -> None:
    """An action whose `expiresAfter` had passed costs five times its count."""
    consume(core, user, STALE_FACTOR * count)
