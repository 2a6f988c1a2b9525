"""Options of `fractal exchange`: what they do and what they refuse."""

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from fractaltrader.cli.exchange import _markets, exchange
from fractaltrader.errors import UserError
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.simulator.serving.background import BackgroundExchange

MAIN = "from fractaltrader.cli.main import main; main()"
PATIENCE_SECONDS = 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mirror": "moonnet"}, "mirror: 'moonnet' is none of mainnet, testnet or an http"),
        ({"mirror": "testnet", "speed": 2.0}, "drop --candles, --speed"),
        ({"mirror": "testnet", "coins": " , "}, "names no coin"),
        ({"mirror": "http://127.0.0.1:9"}, "does not answer as a venue"),
        ({"books": [Path("BTC-l2.parquet")]}, "no trades beside it"),
        ({"trades": [Path("BTC-t.csv")], "candles": [Path("BTC-5m.csv")]}, "drop --candles"),
        ({"trades": [Path("BTC-t.csv")]}, "BTC-t.csv: cannot be read"),
        ({"faults": Path("none.toml")}, "none.toml"),
        ({"now": True, "candles": [Path("BTC-5m.csv")]}, "drop --now"),
    ],
)
def test_bad_options_are_named(options: dict, message: str) -> None:
    """One line says which option is wrong and what to do."""
    with pytest.raises(UserError) as error:
        exchange(**({"port": 0} | options))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_generated_market_may_open_now() -> None:
    """With `--now` the first candle after the history contains the present."""
    before = SystemClock().now_ms()
    market = _markets(None, "BTC", 1, 0, "1m", 500)
    opens = int(market["BTC"].open_time[500])
    assert opens <= SystemClock().now_ms()
    assert before < opens + 60_000


def _asked(url: str, path: str, body: object | None = None, method: str | None = None) -> object:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return json.loads(answer.read())


@pytest.mark.integration
def test_a_mirror_serves_the_venues_prices_with_its_own_faults(tmp_path: Path) -> None:
    """The command follows another server, keeps clients to limits, and its faults are listed,
    switched and removed over HTTP."""
    plan = tmp_path / "plan.toml"
    plan.write_text('[[fault]]\nkind = "server_error"\nstatus = 503\nbegins = "9h"\n')
    with BackgroundExchange() as venue:
        server = subprocess.Popen(
            [
                *(sys.executable, "-c", MAIN, "exchange", "--port", "0", "--mirror", venue.url),
                *("--coins", "ETH,BTC", "--timeframe", "1m", "--faults", str(plan)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1]
            venue.move("ETH", 3_900)
            mids: object = {}
            for _ in range(1_000):
                mids = _asked(url, "/info", {"type": "allMids"})
                if mids == {"ETH": "3900.0", "BTC": "100000.0"}:
                    break
                _asked(venue.url, "/admin/status")
            assert mids == {"ETH": "3900.0", "BTC": "100000.0"}
            [row] = _asked(url, "/admin/faults")
            assert row["fault"] == {"kind": "server_error", "begins": "9h", "status": 503}
            assert _asked(url, "/admin/faults/0", {"enabled": False}) == {"status": "ok"}
            assert _asked(url, "/admin/faults", {"kind": "halt"}) == {"numbers": [1]}
            assert [row["enabled"] for row in _asked(url, "/admin/faults")] == [False, True]
            assert _asked(url, "/admin/faults/0", method="DELETE") == {"status": "ok"}
            assert [row["kind"] for row in _asked(url, "/admin/faults")] == ["halt"]
            server.send_signal(signal.SIGTERM)
            assert server.wait(PATIENCE_SECONDS) == 0
        finally:
            server.kill()
            server.communicate()
