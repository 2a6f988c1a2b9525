"""Client order ids say whose they are, and what we send is legal at the venue."""

from decimal import Decimal

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.live.intents import (
    ATTEMPTS,
    OrderIdentity,
    Role,
    client_order_id,
    decision_id,
    entry_orders,
    exit_orders,
    identity_of,
    illegal,
    make_intent,
)
from fractaltrader.live.protection import stop_size
from fractaltrader.market import Bar, Candles, Instrument, Timeframe
from fractaltrader.simulator.local_exchange import Listing, LocalExchange
from fractaltrader.simulator.serving.transport import InProcessTransport
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual
from fractaltrader.strategies import Signal

KEY = "0x" + "11" * 32
START = 1_735_689_600_000
OUR_FAULT = ("tick", "invalid size", "invalid price", "TP/SL", "minimum value")


@given(
    coin=st.sampled_from(["BTC", "ETH", "kPEPE"]),
    time_ms=st.integers(0, 2**45),
    role=st.sampled_from(Role),
    attempt=st.integers(0, ATTEMPTS - 1),
)
def test_an_id_tells_its_decision_role_and_attempt(
    coin: str, time_ms: int, role: Role, attempt: int
) -> None:
    """Every id is a legal cloid and reads back as what it was made from."""
    decision = decision_id("0xabc", coin, "s", time_ms)
    cloid = client_order_id(decision, role, attempt)
    assert len(cloid) == 34
    int(cloid, 16)
    assert identity_of(cloid) == OrderIdentity(decision, role, attempt)


@given(st.one_of(st.none(), st.text(max_size=40), st.integers(0, 2**128 - 1)))
def test_an_id_of_others_is_never_taken_for_ours(cloid: object) -> None:
    """Anything else is foreign, and reading it never fails."""
    text = f"0x{cloid:032x}" if isinstance(cloid, int) else cloid
    assert identity_of(text) is None  # type: ignore[arg-type]
    assert identity_of("0x66726163" + "zz" * 12) is None
    assert identity_of("0x66726163" + "00" * 8 + "7f" + "000000") is None


prices = st.floats(-4.5, 5.0).map(lambda exponent: 10**exponent)


@settings(max_examples=100, deadline=None)
@given(
    price=prices,
    decimals=st.integers(0, 5),
    side=st.sampled_from([1, -1]),
    stop=st.floats(0.0005, 0.2),
    reward=st.floats(0.5, 4),
    usd=st.floats(9, 20_000),
    part=st.floats(0.01, 1),
)
# A rest worth over 10 USDC at the stop, but less at the worst price that its order allows.
@example(price=1.0, decimals=0, side=1, stop=0.0625, reward=1.0, usd=22.0, part=0.5)
def test_what_is_sent_is_legal(
    price: float, decimals: int, side: int, stop: float, reward: float, usd: float, part: float
) -> None:
    """Any intention that passes our own check breaks no rule of the venue's prices and sizes,
    neither as a bracket nor as a later stop for a part of it."""

    instrument = Instrument("X", 0, decimals, 20)
    close = float(max(instrument.round_price(price), instrument.tick(Decimal(str(price)))))
    signal = _signal(side, close, stop, reward)
    try:
        intent = make_intent(
            signal,
            instrument.round_size(usd / close),
            close,
            instrument=instrument,
            account="0xabc",
            slippage=0.002,
            now_ms=START,
        )
    except ValueError:
        assume(False)
    assume(illegal(intent, instrument) is None)

    async def play() -> None:
        venue = _venue(instrument, close)
        outcomes = await venue.place(entry_orders(intent, instrument), bracket=True)
        _no_fault_of_ours([outcome.error for outcome in outcomes])
        position = (await venue.account()).positions.get("X")  # none when its stop is met at once
        if position and (lacking := instrument.round_size(abs(position.size) * Decimal(part))):
            size = stop_size(position, lacking, intent.stop, instrument)
            legs = exit_orders(intent, instrument, size, Decimal(0), attempt=1)
            (again,) = await venue.place(legs, bracket=False)
            _no_fault_of_ours([again.error])

    run_virtual(play())


def _venue(instrument: Instrument, close: float) -> HyperliquidVenue:
    """An exchange with one coin, its price at `close`, and a rich account on it."""
    clock = LoopClock(START)
    bar = Bar(START - 900_000, close, close, close, close, 10.0)
    history = Candles.of("X", Timeframe.parse("15m"), [bar])
    exchange = LocalExchange([Listing(instrument, history)], clock=clock)
    signer = Signer(KEY)
    exchange.faucet(signer.address, Decimal(1_000_000))
    return HyperliquidVenue(
        InProcessTransport(exchange, clock),
        signer,
        account=signer.address,
        clock=clock,
        mainnet=False,
    )


def _no_fault_of_ours(errors: list[str | None]) -> None:
    for error in errors:
        assert error is None or not any(word in error for word in OUR_FAULT), error


def _signal(side: int, price: float, stop: float, reward: float) -> Signal:
    return Signal(
        strategy="s",
        coin="X",
        side=side,
        bar_time=1,
        entry=price,
        stop=price * (1 - side * stop),
        target=price * (1 + side * stop * reward),
        confidence=50.0,
        factors=(("hand", 50.0),),
        facts=("by hand",),
        atr=price * 0.01,
        atr_baseline=price * 0.01,
    )
