"""The order of executions that share a millisecond."""

import random
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from fractaltrader.exchange.chronology import chronological, position_after
from fractaltrader.exchange.port import Fill, Side


def fill(start: int, signed: int, time_ms: int, tid: int, coin: str = "BTC") -> Fill:
    return Fill(
        coin,
        Side.BUY if signed > 0 else Side.SELL,
        Decimal(100),
        Decimal(abs(signed)),
        time_ms,
        1,
        tid,
        None,
        Decimal(0),
        Decimal(0),
        Decimal(start),
        "",
        True,
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(1, 9), st.sampled_from(["BTC", "ETH"])),
        min_size=1,
        max_size=12,
    ),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_shuffled_executions_are_chained_again(
    steps: list[tuple[int, int, str]], buying: bool, rng: random.Random
) -> None:
    """However the fills of growing or shrinking positions are shuffled, the order found links each
    to its predecessor, so the last one leaves the true position."""
    position = {"BTC": 0, "ETH": 0}
    time_ms, fills = 0, []
    for tid, (later, size, coin) in enumerate(steps):
        time_ms += later
        signed = size if buying else -size
        fills.append(fill(position[coin], signed, time_ms, tid, coin))
        position[coin] += signed
    shuffled = fills[:]
    rng.shuffle(shuffled)
    ordered = chronological(shuffled)
    for coin, expected in position.items():
        own = [item for item in ordered if item.coin == coin]
        assert own == [item for item in fills if item.coin == coin]
        if own:
            assert position_after(own[-1]) == expected
