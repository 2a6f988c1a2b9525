"""What `/info` says of balances, margin, fees and funding (hyperliquid.md 2.1 and 2.2)."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from fractaltrader.simulator.clearing import fees, funding, portfolio, tiers
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO, venue_number
from fractaltrader.simulator.protocol.info.fields import (
    FAR_FUTURE_MS,
    Request,
    coin_of,
    text_of,
    time_of,
    user_of,
)
from fractaltrader.simulator.protocol.views import clearing as views
from fractaltrader.simulator.protocol.views.markets import at_open_interest_cap
from fractaltrader.simulator.state import (
    Account,
    DayVolume,
    FundingPayment,
    FundingRate,
    LedgerEntry,
)
from fractaltrader.simulator.trading.order_rules import MARKET_ORDER_MOST

# Time-range questions are answered with at most so many elements (hyperliquid.md 2.2).
PAGE = 500
ZERO_HASH = "0x" + "0" * 64
Timed = TypeVar("Timed", FundingPayment, FundingRate, LedgerEntry)
# Highest notional of a market order by the coin's highest leverage (hyperliquid.md 7.2).
MARKET_ORDER_NOTIONALS = [
    [venue_number(Decimal(most)), str(least)] for least, most in MARKET_ORDER_MOST
]


def _page(entries: Iterable[Timed], request: Request) -> list[Timed]:
    """The oldest entries of the time asked for."""
    start, end = time_of(request, "startTime", 0), time_of(request, "endTime", FAR_FUTURE_MS)
    return [entry for entry in entries if start <= entry.time_ms <= end][:PAGE]


def _day_volume(core: Core, account: Account, day: int) -> dict[str, str]:
    mine, all_of_them = (days.get(day, DayVolume()) for days in (account.days, core.state.days))
    date = datetime.fromtimestamp(day * fees.DAY_MS / 1000, UTC).strftime("%Y-%m-%d")
    return {
        "date": date,
        "userCross": venue_number(mine.taker),
        "userAdd": venue_number(mine.maker),
        # The maker side, which every trade has at most once, plus the venue's other users.
        "exchange": venue_number(all_of_them.maker + core.state.rest_of_venue_volume),
    }


def _fee_schedule() -> dict[str, Any]:
    first, *higher = fees.TIERS
    return {
        "cross": venue_number(first.taker),
        "add": venue_number(first.maker),
        "spotCross": venue_number(first.spot_taker),
        "spotAdd": venue_number(first.spot_maker),
        "tiers": {
            "vip": [
                {
                    "ntlCutoff": venue_number(tier.cutoff),
                    "cross": venue_number(tier.taker),
                    "add": venue_number(tier.maker),
                    "spotCross": venue_number(tier.spot_taker),
                    "spotAdd": venue_number(tier.spot_maker),
                }
                for tier in higher
            ],
            "mm": [
                {"makerFractionCutoff": venue_number(share), "add": venue_number(rate)}
                for share, rate in fees.REBATES
            ],
        },
        "referralDiscount": venue_number(fees.REFERRAL_DISCOUNT),
        "stakingDiscountTiers": [
            {"bpsOfMaxSupply": venue_number(share), "discount": venue_number(discount)}
            for share, discount in fees.STAKING_TIERS
        ],
    }


def _user_fees(core: Core, request: Request) -> Any:
    account = core.account_or_empty(user_of(request))
    today = fees.day_of(core.now_ms())
    tier, factor = fees.tier_of(account, today), fees.discount_of(account)
    staked = next(
        (pair for pair in fees.STAKING_TIERS if pair[1] == account.staking_discount),
        (ZERO, account.staking_discount),
    )
    days = range(today - fees.WINDOW_DAYS, today + 1)
    return {
        "dailyUserVlm": [_day_volume(core, account, day) for day in days],
        "feeSchedule": _fee_schedule(),
        "userCrossRate": venue_number(fees.rate_of(core, account, crossed=True)),
        "userAddRate": venue_number(fees.rate_of(core, account, crossed=False)),
        "userSpotCrossRate": venue_number(tier.spot_taker * factor),
        "userSpotAddRate": venue_number(tier.spot_maker * factor),
        "activeReferralDiscount": venue_number(account.referral_discount),
        "trial": None,
        "feeTrialEscrow": "0.0",
        "nextTrialAvailableTimestamp": None,
        "stakingLink": None,
        "activeStakingDiscount": {
            "bpsOfMaxSupply": venue_number(staked[0]),
            "discount": venue_number(staked[1]),
        },
    }


def _active_asset_data(core: Core, request: Request) -> Any:
    coin = coin_of(core, request)
    if coin is None or core.books[coin].mid is None:
        return None
    return views.active_asset_data(core, user_of(request), coin)


def _funding_history(core: Core, request: Request) -> Any:
    coin = text_of(request, "coin")
    market = core.state.markets.get(coin)
    return [
        {
            "coin": coin,
            "fundingRate": venue_number(entry.rate),
            "premium": venue_number(entry.premium),
            "time": entry.time_ms,
        }
        for entry in _page(market.funding if market else (), request)
    ]


def _user_funding(core: Core, request: Request) -> Any:
    account = core.account_or_empty(user_of(request))
    return [
        {
            "time": payment.time_ms,
            "hash": ZERO_HASH,
            "delta": {"type": "funding"} | funding.payment_view(payment),
        }
        for payment in _page(account.fundings, request)
    ]


def _predicted_fundings(core: Core, _request: Request) -> Any:
    """Only this venue's prediction is known; those of the others are null."""
    next_ms = funding.next_hour(core.now_ms())
    return [
        [
            coin,
            [
                ["BinPerp", None],
                [
                    "HlPerp",
                    {
                        "fundingRate": venue_number(funding.predicted_rate(core, coin)),
                        "nextFundingTime": next_ms,
                        "fundingIntervalHours": 1,
                    },
                ],
                ["BybitPerp", None],
            ],
        ]
        for coin in sorted(core.books)
    ]


def _ledger_updates(core: Core, request: Request) -> Any:
    account = core.account_or_empty(user_of(request))
    return [
        {"time": entry.time_ms, "hash": entry.hash, "delta": entry.delta}
        for entry in _page(account.ledger, request)
    ]


def _portfolio(core: Core, request: Request) -> Any:
    """Periods over perps and spot together, then over perps alone."""
    account = core.account_or_empty(user_of(request))
    rows: list[Any] = []
    for prefix in ("", "perp"):
        for name, span in portfolio.PERIODS.items():
            samples = portfolio.history(core, account, span)
            values = [
                [s.time_ms, venue_number(s.perp_value + (ZERO if prefix else s.spot_value))]
                for s in samples
            ]
            view = {
                "accountValueHistory": values,
                "pnlHistory": [
                    [time_ms, venue_number(pnl)]
                    for time_ms, pnl in portfolio.profit_since(account, samples)
                ],
                "vlm": venue_number(account.volume - _volume_before(samples, span)),
            }
            label = prefix + name[0].upper() + name[1:] if prefix else name
            rows.append([label, view])
    return rows


def _volume_before(samples: list[Any], span: int | None) -> Any:
    return samples[0].volume if span is not None and len(samples) > 1 else ZERO


def _margin_table(core: Core, request: Request) -> Any:
    number = request.get("id")
    if not isinstance(number, int):
        return None
    table = core.state.margin_tables.get(number) or tiers.VENUE_TABLES.get(number)
    if table is None and not 0 < number < tiers.SINGLE_TIER_IDS:
        return None
    return views.margin_table(table or tiers.single(number))


HANDLERS: dict[str, Callable[[Core, Request], Any]] = {
    "clearinghouseState": lambda core, request: views.clearinghouse_state(core, user_of(request)),
    "spotClearinghouseState": lambda core, request: views.spot_state(core, user_of(request)),
    "activeAssetData": _active_asset_data,
    "userFees": _user_fees,
    "userFunding": _user_funding,
    "fundingHistory": _funding_history,
    "predictedFundings": _predicted_fundings,
    "userNonFundingLedgerUpdates": _ledger_updates,
    "portfolio": _portfolio,
    "marginTable": _margin_table,
    "perpsAtOpenInterestCap": lambda core, _: at_open_interest_cap(core),
    "maxMarketOrderNtls": lambda _core, _: MARKET_ORDER_NOTIONALS,
}
