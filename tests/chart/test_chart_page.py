"""The page in a real browser: at every bar exactly what was known, and nothing more."""

import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from chromium import CHROMIUM, Page, new_page
from known import all_seen
from typer.testing import CliRunner

from fractaltrader.backtest import run_backtest
from fractaltrader.chart import Fact, chart_page
from fractaltrader.chart.drawings import drawings_of
from fractaltrader.cli.chart import chart
from fractaltrader.errors import UserError
from fractaltrader.market import Candles
from fractaltrader.market.bars import COLUMNS
from fractaltrader.strategies import load_strategy

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(chart)

in_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
# Layers a user has to switch on.
OFF = {"session", "opening", "range", "level", "taken", "displacement", "ote", "candidate"}
FRAME = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
SHOWN = """(() => { const shown = {}; for (const trace of document.getElementById('chart').data)
  if (trace.visible) shown[trace.name] = [...new Set((trace.hovertext || []).filter(t => t))];
  return shown; })()"""


@pytest.fixture
def candle_file(tmp_path: Path, market: Candles) -> Path:
    path = tmp_path / "BTC-15m.csv"
    rows = (",".join(map(str, bar)) for bar in market.bars())
    path.write_text("\n".join([",".join(COLUMNS), *rows]))
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


@pytest.fixture
def page_file(candle_file: Path, tmp_path: Path) -> Path:
    """A page over bars 100 to the newest."""
    out = tmp_path / "page.html"
    assert "bars 100 to" in run("--candles", candle_file, "--from", 100, "--out", out)
    return out


def drive(folder: Path, steps: Callable[[Page], Awaitable[None]]) -> Page:
    async def session() -> Page:
        async with new_page(folder / "browser") as page:
            await steps(page)
            return page

    return asyncio.run(session())


async def slide(page: Page, bar: int) -> None:
    """Drag the slider to `bar`, and wait for the picture."""
    await page.run(
        f"slider.value = {bar}; slider.dispatchEvent(new Event('input', {{bubbles: true}}));"
        f"{FRAME}"
    )


@in_browser
@pytest.mark.slow
@pytest.mark.integration
def test_the_slider_shows_what_was_known_and_nothing_else(
    page_file: Path, tmp_path: Path, facts: list[Fact], market: Candles
) -> None:
    """At each bar the traces of the browser hold exactly the drawings known by then."""
    drawings = [d for d in drawings_of(facts) if d.end is None or d.end >= 100]
    drawings = [d for d in drawings if d.layer.rstrip("+-") not in OFF]

    def expected(bar: int) -> dict[str, set[str]]:
        table: dict[str, set[str]] = defaultdict(set)
        for seen in all_seen(drawings, bar):
            table[seen.layer].add(seen.hover)
        return table

    async def steps(page: Page) -> None:
        await page.open(f"{page_file.as_uri()}#bar=300&span=4000")
        for bar in (400, len(market) - 1, 101):
            await slide(page, bar)
            shown = await page.run(SHOWN)
            candles = [*shown.pop("rising"), *shown.pop("falling")]
            assert len(candles) == bar - 100 + 1
            shown.pop("labels", None)
            assert {key: set(texts) for key, texts in shown.items() if texts} == expected(bar)

    page = drive(tmp_path, steps)
    assert page.errors == []
    assert {url.split(":")[0] for url in page.requests} <= {"file", "about", "data", "blob"}


@in_browser
@pytest.mark.slow
@pytest.mark.integration
def test_a_swing_appears_when_the_slider_reaches_its_confirmation(
    page_file: Path, tmp_path: Path, facts: list[Fact]
) -> None:
    """Between its extreme and its confirmation a swing is not in the picture; a bar later it is."""
    swing = next(f for f in facts if f.kind == "swing" and f.at > 300)
    count = (
        "document.querySelectorAll('#chart .scatterlayer .trace path.point').length + ' ' +"
        "document.getElementById('chart').data.filter(t => t.name.startsWith('swing'))"
        ".reduce((sum, t) => sum + t.x.length, 0)"
    )
    here = (
        "document.getElementById('chart').data.some(t => t.name.startsWith('swing') &&"
        f" t.x.includes({swing.at}))"
    )

    async def steps(page: Page) -> None:
        # Only swings, so that every point of the picture is one.
        await page.open(f"{page_file.as_uri()}#bar=200")
        await page.run(
            "for (const b of document.querySelectorAll('#legend button'))"
            " if (b.textContent !== 'Swings' && b.ariaPressed === 'true')"
            " [...document.querySelectorAll('#legend button')]"
            " .find(now => now.textContent === b.textContent).click()"
        )
        for bar, known in ((swing.at, False), (swing.known - 1, False), (swing.known, True)):
            await slide(page, bar)
            assert await page.run(here) is known
            points, swings = map(int, (await page.run(count)).split())
            assert points == swings > 0
        newest = await page.run("document.querySelector('#facts li.new b').textContent")
        assert isinstance(newest, str)
        assert await page.run("document.getElementById('aside-bar').textContent") == str(
            swing.known
        )

    assert drive(tmp_path, steps).errors == []


@in_browser
@pytest.mark.slow
@pytest.mark.integration
def test_the_plot_fills_its_frame_at_every_size(page_file: Path, tmp_path: Path) -> None:
    """Whatever the window, the plot leaves no gap above the footer and nothing hangs over."""
    gaps = (
        "(() => { const box = name => document.querySelector(name).getBoundingClientRect();"
        " const [frame, plot] = [box('#chart'), box('#chart .main-svg')];"
        " return [frame.height - plot.height, frame.width - plot.width,"
        " innerHeight - box('footer').bottom, document.documentElement.scrollWidth - innerWidth]"
        ".map(Math.abs); })()"
    )

    async def steps(page: Page) -> None:
        await page.open(page_file.as_uri())
        for width, height in ((1600, 900), (1280, 640), (1000, 437), (700, 900), (480, 700)):
            await page.resize(width, height)
            for _ in range(40):  # the frame is filled a few pictures later
                await page.run(FRAME)
                if max(await page.run(gaps)) < 1:
                    break
            assert max(await page.run(gaps)) < 1, (width, height)

    assert drive(tmp_path, steps).errors == []


def test_the_page_stands_alone(page_file: Path) -> None:
    """Plotly is in the file, nothing is fetched, and every placeholder is filled."""
    text = page_file.read_text(encoding="utf-8")
    assert "plotly.js v" in text
    assert len(text) > 3_000_000
    assert "<script src" not in text
    assert "<link" not in text
    for name in ("__TITLE__", "__STYLE__", "__PLOTLY__", "__DATA__", "__SCRIPT__"):
        assert name not in text


def document(page: str) -> dict[str, Any]:
    """What the page's script is given."""
    data = page.split('<script id="data" type="application/json">')[1].split("</script>")[0]
    parsed: dict[str, Any] = json.loads(data)
    return parsed


def test_a_part_of_a_backtest_shows_what_concerns_it(market: Candles, facts: list[Fact]) -> None:
    """A page over a range has its bars, the trades and levels that were open there, from whenever
    they are, and of words only those of the range."""
    result = run_backtest(market, load_strategy("liquidity_sweep"))
    trades = result.trades
    first, last = int(trades.entry_bar[1]) + 1, int(trades.exit_bar[-2])
    shown = document(chart_page(market, facts, first=first, last=last, backtest=result))
    assert len(shown["close"]) == last - first + 1
    assert shown["close"][0] == market.close[first]
    held = [one for one in shown["drawings"] if one["layer"] == "held"]
    entered = [one["known"] for one in held]
    spans = zip(trades.entry_bar.tolist(), trades.exit_bar.tolist(), strict=True)
    assert entered == [opened for opened, left in spans if opened <= last and left >= first]
    assert len(trades) > len(entered) > 3
    known = [line["known"] for line in shown["facts"]]
    assert known == sorted(known)
    assert first <= known[0] <= known[-1] <= last
    names = [line["name"] for line in shown["facts"]]
    assert names.count("Entry") == sum(first <= bar <= last for bar in trades.entry_bar)
    assert any(name.startswith("Signal ") for name in names)


@pytest.mark.parametrize(("first", "last"), [(-1, 5), (5, 4), (0, 768), (768, None)])
def test_a_range_outside_the_candles_is_refused(
    market: Candles, first: int, last: int | None
) -> None:
    """The error names the range and how many candles there are."""
    assert len(market) == 768
    with pytest.raises(UserError, match=rf"bars: {first} to .* within the 768 candles of BTC"):
        chart_page(market, [], first=first, last=last)


def test_without_plotly_the_extra_is_named(
    market: Candles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chart without the lab extra says what to install."""
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(UserError, match=r"install 'fractaltrader\[lab\]'"):
        chart_page(market, [])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "99999"], "beyond the newest bar"),
        (["--from", "50", "--to", "40"], "after --to"),
        (["--profile", "fractl"], "did you mean 'fractal'"),
        (["--param", "min_rr=2"], "needs --strategy"),
        (["--strategy", "liquidity_swep"], "liquidity_sweep"),
        (["--out", "/nowhere/at/all.html"], "cannot write"),
    ],
)
def test_mistakes_in_the_call(candle_file: Path, arguments: list[str], words: str) -> None:
    """Each is one line that names the option and the rule."""
    with pytest.raises(UserError, match=words):
        run("--candles", candle_file, *arguments)
