"""`fractal strategy`: the strategies there are, and a file to begin one's own with."""

from pathlib import Path
from typing import Annotated

import typer

from fractaltrader.errors import UserError

app = typer.Typer(
    help="List the strategies, or begin one of your own.",
    no_args_is_help=True,
    add_completion=False,
)

TEMPLATE = '''"""{name}: trade with structure after a sweep. docs/strategies.md explains it."""

from pydantic import Field

from fractaltrader.strategies import EventKind, Parameters, Proposal, UserStrategy


class {name}(UserStrategy):
    """Lows swept while structure is bullish are bought, highs in a bearish one sold."""

    clauses = {{"left": 3, "right": 3, "htf": ("1h",)}}  # docs/smc.md lists the clauses
    min_rr = 1.5

    class Parameters(Parameters):
        stop_atr: float = Field(default=1.0, gt=0, le=10, description="stop distance in ATR")

    def on_bar(self, bar, events):
        for event in events:
            side = -event.side
            if event.kind is not EventKind.SWEEP or side != self.market.bias:
                continue
            stop = bar.close - side * self.params.stop_atr * self.market.atr
            paid = self.min_rr * abs(bar.close - stop)
            targets = [x for x in self.market.levels(side) if side * (x - bar.close) >= paid]
            if targets:
                higher = 20 if self.market.higher_bias() == side else 0
                reasons = [f"swept {{event.level:.10g}}", "structure points the same way"]
                return Proposal(side, stop, targets[0], {{"sweep": 50, "1h": higher}}, reasons)
'''


@app.command()
def new(name: Annotated[str, typer.Argument(help="Name of the class and the file.")]) -> None:
    """Write NAME.py here: a small strategy that runs as it is."""
    if not name.isidentifier():
        raise UserError(f"strategy: {name!r} cannot name a class; use letters, digits and _")
    file = Path(f"{name}.py")
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(TEMPLATE.format(name=name))
    except FileExistsError:
        raise UserError(f"strategy: {file} exists already; choose another name") from None
    except OSError as error:
        raise UserError(f"strategy: {file} cannot be written: {error.strerror}") from None
    typer.echo(f"wrote {file}; try: fractal backtest --strategy {file} --candles FILE")


@app.command("list")
def show() -> None:
    """List the strategies that can be traded by name, with their parameters."""
    from fractaltrader.strategies import STRATEGIES
    from fractaltrader.strategies.plugins import installed

    for kind in STRATEGIES.values():
        typer.echo(f"{kind.name}: {kind.summary}")
        own = kind.parameters.__annotations__
        typer.echo(f"  own parameters: {', '.join(own)}")
    for name, point in installed().items():
        typer.echo(f"{name}: installed, {point.value}")
