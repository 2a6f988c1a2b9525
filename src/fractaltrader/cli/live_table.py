"""What a person watches while a bot trades: prices, positions with their stops, recent events."""

from decimal import Decimal

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fractaltrader.exchange.port import Account, OpenOrder
from fractaltrader.live.desk import Desk
from fractaltrader.market.bars import utc

EVENTS_SHOWN = 10


def live_table(desk: Desk, title: str) -> RenderableType:
    """The whole picture at this moment."""
    return Group(
        Text(title, style="bold"),
        _headline(desk),
        _markets(desk),
        Panel(_events(desk), title="last events", title_align="left", height=EVENTS_SHOWN + 2),
    )


def _headline(desk: Desk) -> Text:
    account, trades = desk.view.account, desk.book.trades
    won = sum(trade.pnl > 0 for trade in trades)
    text = Text(f"{utc(desk.view.time_ms)}   ")
    if account is not None:
        text.append(f"equity {account.equity:,.2f} USDC", style="bold cyan")
    text.append(f"   trades {len(trades)} ({won} won)   streak {desk.book.streak:+d}")
    return text


def _markets(desk: Desk) -> Table:
    table = Table("coin", "price", "position", "entry", "PnL", "stop", "target", expand=True)
    account = desk.view.account
    for coin, price in desk.view.prices.items():
        table.add_row(coin, f"{price:,.6g}", *_position(account, desk.view.orders, coin))
    return table


def _position(account: Account | None, orders: list[OpenOrder], coin: str) -> tuple[str, ...]:
    position = account.positions.get(coin) if account is not None else None
    if position is None:
        return ("flat", "", "", "", "")
    pnl = position.unrealized_pnl
    colour = "green" if pnl > 0 else "red"
    return (
        f"{position.size:+}",
        str(position.entry_price),
        f"[{colour}]{pnl:+.2f}[/]",
        _resting(orders, coin, "sl"),
        _resting(orders, coin, "tp"),
    )


def _resting(orders: list[OpenOrder], coin: str, kind: str) -> str:
    prices: list[Decimal] = [
        order.trigger_price
        for order in orders
        if order.coin == coin and order.kind == kind and order.trigger_price is not None
    ]
    return ", ".join(str(price) for price in prices) or "[bold red]none[/]"


def _events(desk: Desk) -> Text:
    lines = list(desk.view.events)[-EVENTS_SHOWN:]
    text = "\n".join(f"{utc(time_ms)[5:16]}  {line}" for time_ms, line in lines)
    return Text(text, no_wrap=True, overflow="ellipsis")
