"""The venue: does it answer, do the clocks agree, may the keys trade, is mainnet armed."""

from collections.abc import Callable, Mapping
from pathlib import Path

from fractaltrader.config import Config
from fractaltrader.doctor.finding import Finding, ok, problem, warning
from fractaltrader.environment import GUARD_KEY, PRIVATE_KEY
from fractaltrader.errors import UserError
from fractaltrader.exchange.errors import ExchangeError
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.keys.agents import DAY_MS, Standing
from fractaltrader.keys.arming import require_armed
from fractaltrader.live.bot import check_coins
from fractaltrader.live.wallet import check_wallet, keystore_in
from fractaltrader.market.bars import utc

EXPIRES_SOON_DAYS = 7
NOBODY = "0x" + "0" * 40

# The venue as an account's reader sees it.
Connect = Callable[[str], HyperliquidVenue]


async def venue_findings(
    connect: Connect,
    config: Config,
    home: Path,
    environment: Mapping[str, str],
    now_ms: int,
) -> list[Finding]:
    """Everything that has to be asked for; `connect` gives a venue that only reads an account."""
    url = config.venue.endpoint
    venue = connect(NOBODY)
    try:
        listed = await venue.instruments()
        check_coins(config.trade.coins, listed)
        found = [ok("venue", f"{url} lists {len(listed)} coins, yours among them")]
        found.append(await _clock(venue, config))
        found += await _wallets(connect, config, home, environment, now_ms)
    except ExchangeError as error:
        return [problem("venue", f"{url}: {error}", "look at the network and at [venue] url")]
    except UserError as error:
        return [problem("venue", str(error), "change [trade] coins")]
    return found


async def _clock(venue: HyperliquidVenue, config: Config) -> Finding:
    if config.venue.mode == "sim":
        return ok("clock", "not compared: the local exchange has a time of its own")
    await venue.time_ms()
    skew = venue.skew
    if skew is None:  # pragma: no cover - time_ms has just measured it
        return warning("clock", "could not be compared", "try again")
    limit = config.data.max_clock_skew_ms
    told = f"{skew.ahead_ms:+d} ms (within {skew.error_ms} ms) from the venue's"
    if abs(skew.ahead_ms) > limit + skew.error_ms:
        return problem("clock", f"{told}, over {limit} ms: no entries", "let NTP set the clock")
    return ok("clock", told)


async def _wallets(
    connect: Connect,
    config: Config,
    home: Path,
    environment: Mapping[str, str],
    now_ms: int,
) -> list[Finding]:
    """Bot and guard each have a key that may trade the account; on mainnet it is armed."""
    try:
        bot = _address(config.venue.key, environment.get(PRIVATE_KEY), home)
        guard = _address(config.venue.guard_key, environment.get(GUARD_KEY), home)
    except UserError as error:
        return [problem("key", str(error), "`fractal keys show` lists what there is")]
    if bot is None:
        if config.venue.mode == "sim":
            return [ok("key", "none is configured: the local exchange's play key is used")]
        return [problem("key", "none is configured", "`fractal keys new bot`, then [venue] key")]
    finding, account = await _wallet("key", connect(bot), bot, config, now_ms)
    found = [finding]
    if account is not None:
        await connect(account).learn_limits()  # shown among the limits
        if config.venue.mainnet:
            found.append(_armed(home, config, account, now_ms))
    if guard is None:
        remedy = "`fractal keys new guard`, approve it, then [venue] guard_key"
        found.append(warning("guard key", "none is configured", remedy))
    elif guard == bot:
        remedy = "give the guard an agent of its own: revoking one must not stop both"
        found.append(warning("guard key", "it is the bot's own", remedy))
    else:
        found.append((await _wallet("guard key", connect(guard), guard, config, now_ms))[0])
    return found


async def _wallet(
    check: str, venue: HyperliquidVenue, address: str, config: Config, now_ms: int
) -> tuple[Finding, str | None]:
    """How the key stands, and the account it trades."""
    try:
        standing = await check_wallet(
            venue,
            address,
            config.venue.account,
            mainnet=config.venue.mainnet,
            allow_master_key=config.venue.allow_master_key,
            now_ms=now_ms,
        )
    except UserError as error:
        return problem(check, str(error), "as the text says"), None
    return _expiry(check, standing, now_ms), standing.account


def _expiry(check: str, standing: Standing, now_ms: int) -> Finding:
    told = f"{standing.address}: {standing}"
    until = standing.valid_until_ms
    if until is not None and until < now_ms + EXPIRES_SOON_DAYS * DAY_MS:
        days = (until - now_ms) / DAY_MS
        return warning(check, f"{told}, in {days:.1f} days", "`fractal keys rotate`")
    return ok(check, told)


def _address(name: str | None, private_key: str | None, home: Path) -> str | None:
    """Address of a configured key; None where there is none."""
    if name is not None:
        return keystore_in(home).address(name)
    return Signer(private_key).address if private_key else None


def _armed(home: Path, config: Config, account: str, now_ms: int) -> Finding:
    """Whether `fractal run` would start on mainnet as configured."""
    bounds = config.bounds_of_loss()
    try:
        arming = require_armed(home, account, config.venue.endpoint, bounds, now_ms)
    except UserError as error:
        return problem("armed", str(error), "`fractal arm`")
    return ok("armed", f"until {utc(arming.expires_ms)}")
