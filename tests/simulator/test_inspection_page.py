"""The inspection page, looked at with a real browser."""

import asyncio
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from exchange_world import Trader, limit, trigger

from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.serving.server import Server

sys.path.append(str(Path(__file__).resolve().parents[1] / "chart"))
from chromium import CHROMIUM, new_page

pytestmark = pytest.mark.integration


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_page_shows_the_exchange_and_switches_faults(
    exchange: LocalExchange, tmp_path: Path
) -> None:
    """Book, account, orders and faults are on the page; a fault is added and switched off there,
    and the page needs nothing from anywhere else."""
    alice = Trader(exchange, "alice")
    alice.order(limit("B", "0.05", "101000", "Ioc"))
    alice.order(limit("B", "0.01", "99000"))
    alice.order(trigger("A", "0.05", "95000", "sl"))
    exchange.move("BTC", Decimal("100500"), volume=Decimal("1.5"))

    async def look() -> None:
        server = Server(exchange, None, 1.0)
        url = await server.start(0)
        try:
            async with new_page(tmp_path / "browser") as page:
                await page.open(url)
                await page.run("refresh()")
                text = await page.run("document.body.innerText")
                assert alice.address in text
                for shown in ("Stop Market, reduce only", "Limit Gtc", "100005.0"):
                    assert shown in text
                await page.run(
                    "at('kind').value = 'halt'; at('fields').value = '{\"lasts\": \"1h\"}';"
                    "at('add').requestSubmit()"
                )
                for _ in range(100):
                    await page.run("refresh()")
                    if server.faults.entries:
                        break
                assert [entry.enabled for entry in server.faults.entries] == [True]
                await page.run("call('POST', '/admin/faults/0', {enabled: false})")
                assert [entry.enabled for entry in server.faults.entries] == [False]
                (tmp_path / "page.png").write_bytes(await page.screenshot())
                assert page.errors == []
                assert all(asked.startswith((url, "about:", "data:")) for asked in page.requests)
        finally:
            await server.stop()

    asyncio.run(look())
