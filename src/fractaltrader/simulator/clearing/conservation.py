"""The exchange's books: what came in, less what went out, is what everybody holds together."""

from decimal import Decimal

from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO


def books_balance(core: Core) -> Decimal:
    """Money created from nothing, USDC; zero to the last digit at every moment.

    A position's entry notional stands for its unrealised profit, so that no price is needed: cash
    less what longs paid plus what shorts received, over all accounts, the modelled market's and
    the backstop's, with the fees collected, the funding pool and the spot balances.
    """
    state = core.state
    total = state.fees_collected + state.funding_pool - state.external
    for account in (*state.accounts.values(), state.house, state.backstop):
        total += account.cash + account.spot_usdc
        for position in account.positions.values():
            bought = position.size > 0
            total += -position.entry_notional if bought else position.entry_notional
    return total


def open_sizes(core: Core) -> dict[str, Decimal]:
    """Sum of all positions by coin, base units; zero each, for every long has its short."""
    accounts = (*core.state.accounts.values(), core.state.house, core.state.backstop)
    sums = dict.fromkeys(core.books, ZERO)
    for account in accounts:
        for coin, position in account.positions.items():
            sums[coin] += position.size
    return sums
