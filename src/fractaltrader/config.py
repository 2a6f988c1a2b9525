"""One typed configuration: a TOML file, every key with its bounds, default and reason."""

import tomllib
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator

from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.exchange.budget_parameters import BudgetParameters
from fractaltrader.home import fractal_home
from fractaltrader.live.parameters import DataParameters, GuardParameters, ReconcileParameters
from fractaltrader.parameters import Parameters
from fractaltrader.risk.breaker_parameters import BreakerParameters
from fractaltrader.risk.portfolio import PortfolioLimits
from fractaltrader.risk.sizing import RiskParameters

LOCAL_URL = "http://127.0.0.1:3001"
URLS = {
    "sim": LOCAL_URL,
    "testnet": "https://api.hyperliquid-testnet.xyz",
    "mainnet": "https://api.hyperliquid.xyz",
}


def is_mainnet(url: str) -> bool:
    """Whether `url` is the venue's own address for real money."""
    return urlsplit(url).hostname == urlsplit(URLS["mainnet"]).hostname


class VenueConfig(Parameters):
    """Where to trade."""

    mode: Literal["sim", "testnet", "mainnet"] = Field(
        default="sim",
        description="sim: the local exchange; testnet: the venue's, play money; mainnet: real "
        "money, which has to be armed first (`fractal arm`)",
    )
    url: str | None = Field(
        default=None,
        pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?$",
        description="another address of the venue's API, like http://127.0.0.1:3001",
    )
    account: str | None = Field(
        default=None,
        pattern=r"^0x[0-9a-fA-F]{40}$",
        description="address of the account, when the key belongs to an agent wallet of it",
    )
    key: str | None = Field(default=None, description="name of the key that signs (`fractal keys`)")
    guard_key: str | None = Field(
        default=None, description="name of the key that `fractal guard` signs with"
    )
    allow_master_key: bool = Field(
        default=False,
        description="let mainnet be traded with an account's own key, which can also withdraw; "
        "an agent's cannot",
    )

    @field_validator("url")
    @classmethod
    def _mode_fits(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is not None and is_mainnet(url) and info.data.get("mode") != "mainnet":
            raise ValueError('is the address of mainnet; set mode = "mainnet"')
        return url

    @property
    def endpoint(self) -> str:
        """The address requests go to."""
        return self.url or URLS[self.mode]

    @property
    def mainnet(self) -> bool:
        """Whether real money is meant; actions are signed for one network or the other."""
        return self.mode == "mainnet"


class TradeConfig(Parameters):
    """What to trade and how to enter."""

    coins: tuple[str, ...] = Field(
        default=("BTC", "ETH", "SOL"),
        min_length=1,
        max_length=20,
        description="each needs data and attention of its own; more than a few dilute both",
    )

    @field_validator("coins")
    @classmethod
    def _different(cls, coins: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(coins)) < len(coins):
            raise ValueError("every coin may be named once")
        return coins

    timeframe: str = Field(default="15m", description="candle interval decisions are made on")
    strategy: str = Field(
        default="liquidity_sweep", description="a strategy's name, or its .py file"
    )
    slippage: float = Field(
        default=0.002,
        gt=0,
        le=0.05,
        description="worst entry price, as a fraction of the price seen",
    )


class Config(Parameters):
    """The whole configuration; `[strategy]` holds the strategy's own parameters."""

    venue: VenueConfig = VenueConfig()
    trade: TradeConfig = TradeConfig()
    risk: RiskParameters = RiskParameters()
    limits: PortfolioLimits = PortfolioLimits()
    breaker: BreakerParameters = BreakerParameters()
    budget: BudgetParameters = BudgetParameters()
    reconcile: ReconcileParameters = ReconcileParameters()
    data: DataParameters = DataParameters()
    guard: GuardParameters = GuardParameters()
    strategy: dict[str, object] = Field(default_factory=dict)

    @classmethod
    def from_tables(cls, tables: dict[str, object], source: str) -> Self:
        """Configuration from parsed TOML; UserError names file, section, key and rule."""
        sections: dict[str, type[Parameters]] = {
            "venue": VenueConfig,
            "trade": TradeConfig,
            "risk": RiskParameters,
            "limits": PortfolioLimits,
            "breaker": BreakerParameters,
            "budget": BudgetParameters,
            "reconcile": ReconcileParameters,
            "data": DataParameters,
            "guard": GuardParameters,
        }
        parsed: dict[str, object] = {}
        for name, table in tables.items():
            if name not in cls.model_fields:
                known = list(cls.model_fields)
                hint = did_you_mean(name, known) or f"; known are {', '.join(known)}"
                raise UserError(f"{source}: unknown section [{name}]{hint}")
            if not isinstance(table, dict):
                raise UserError(f"{source}: {name} = {table!r} must be a section [{name}]")
            model = sections.get(name)
            parsed[name] = model.parse(table, f"{source} [{name}]") if model else table
        return cls.model_validate(parsed)

    def bounds_of_loss(self) -> dict[str, object]:
        """Every setting that bounds what can be lost: what `fractal arm` has confirmed."""
        sections = {"trade", "risk", "limits", "breaker", "reconcile", "guard", "strategy"}
        return self.model_dump(mode="json", include=sections)


def load_config(path: Path | None) -> Config:
    """The file at `path`, else FRACTAL_HOME/config.toml, else the defaults."""
    if path is None:
        path = fractal_home() / "config.toml"
        if not path.exists():
            return Config()
    try:
        text = path.read_text()
    except OSError as error:
        raise UserError(f"config: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"config: {path} is not UTF-8 text ({error.reason}); save it so") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"config: {path} is not valid TOML: {error}") from None
    return Config.from_tables(tables, path.name)
