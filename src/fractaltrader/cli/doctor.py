"""`fractal doctor`: is everything fit for trading, and what to do where it is not."""

from typing import TYPE_CHECKING, Annotated

import typer

from fractaltrader.cli.venue import ConfigFile, Mode, Url

if TYPE_CHECKING:
    from fractaltrader.config import Config
    from fractaltrader.doctor.finding import Finding

EXIT_PROBLEM = 1
STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor(
    config: ConfigFile = None,
    venue: Mode = None,
    url: Url = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the venue.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Look at machine, files, configuration, runs and venue; exit code 1 when there is a problem.

    Nothing is changed, and no password is asked for."""
    import asyncio
    import os
    import sys

    from fractaltrader.doctor import files, machine
    from fractaltrader.home import fractal_home

    home = fractal_home()
    found = [machine.python(sys.version_info[:3]), machine.folder(home), machine.disk(home)]
    found += machine.environment(os.environ)
    if machine.is_usable(home):
        found += files.key_files(home, os.environ)
        found += files.state_files(home)
        finding, settings = _configuration(config, venue, url)
        found.append(finding)
        if settings is not None:
            found += asyncio.run(_configured(settings, offline=offline))
    _show(found, as_json=as_json)
    if any(finding.level == "problem" for finding in found):
        raise typer.Exit(EXIT_PROBLEM)


def _configuration(
    config: "ConfigFile", mode: str | None, url: str | None
) -> "tuple[Finding, Config | None]":
    from fractaltrader.cli.venue import configured
    from fractaltrader.doctor.finding import ok, problem
    from fractaltrader.errors import UserError
    from fractaltrader.live.assembly import check_config

    try:
        settings = configured(config, mode, url)
        check_config(settings)
    except UserError as error:
        return problem("configuration", str(error), "docs/configuration.md lists every key"), None
    venue = settings.venue
    return (
        ok("configuration", f"{venue.mode}, {venue.endpoint}, {settings.trade.strategy}"),
        settings,
    )


async def _configured(settings: "Config", *, offline: bool) -> "list[Finding]":
    """Runs, venue and limits, which depend on the configuration."""
    from fractaltrader.doctor.budget import budgets
    from fractaltrader.doctor.runs import runs
    from fractaltrader.exchange.clock import MonotonicClock, SystemClock
    from fractaltrader.home import fractal_home

    home = fractal_home()
    found = runs(home, settings, SystemClock())
    if not offline:
        found += await _venue(settings)
    return found + budgets(home, settings.budget, MonotonicClock().now_ms())


async def _venue(settings: "Config") -> "list[Finding]":
    import os

    from fractaltrader.cli.venue import reached
    from fractaltrader.doctor.finding import problem
    from fractaltrader.doctor.venue import venue_findings
    from fractaltrader.errors import UserError
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.home import fractal_home

    now = SystemClock().now_ms()
    try:
        async with reached(settings, "doctor", administers=True) as connect:
            return await venue_findings(
                lambda account: connect(None, account), settings, fractal_home(), os.environ, now
            )
    except UserError as error:
        return [problem("venue", str(error), "look at the network and at [venue] url")]


def _show(found: "list[Finding]", *, as_json: bool) -> None:
    import msgspec
    from rich.console import Console
    from rich.text import Text

    from fractaltrader.keys.hiding import hide_key_shaped

    if as_json:
        typer.echo(hide_key_shaped(msgspec.json.encode(found).decode()))
        return
    console = Console(soft_wrap=True, highlight=False)
    for finding in found:
        line = Text(f"{finding.level:8}", STYLES[finding.level])
        line.append(hide_key_shaped(f"{finding.check}: {finding.found}"), "default")
        if finding.remedy:
            line.append(f"\n        → {finding.remedy}", "default")
        console.print(line)
