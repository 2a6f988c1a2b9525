"""Leverage and margin mode of the coins: set, read back, and believed only then."""

from fractaltrader.exchange.errors import RejectedError
from fractaltrader.exchange.port import Leverage
from fractaltrader.live.desk import Desk


async def set_leverage(desk: Desk, coin: str, leverage: int) -> None:
    """Sizes assume this cross leverage, so a coin that the venue refuses it for is not entered."""
    try:
        await desk.venue.set_leverage(coin, leverage)
    except RejectedError as error:
        desk.incident("leverage refused", f"{coin}: {error}", error)
    await verify_leverage(desk, coin, leverage)


async def verify_leverage(desk: Desk, coin: str, leverage: int) -> None:
    """Bar `coin` from entries while the venue reads back something else; somebody may have changed
    it by hand."""
    wanted = Leverage(leverage, cross=True)
    found = await desk.venue.leverage(coin)
    if found == wanted:
        desk.blocked.pop(coin, None)
        return
    reason = f"leverage: the venue has {found}, sizes assume {wanted}"
    if desk.blocked.get(coin) != reason:
        desk.incident("leverage differs", f"{coin}: the venue has {found}, not {wanted}")
    desk.blocked[coin] = reason
