"""Paths of our own beside the venue's: faucet, state of affairs, faults, the inspection page.

The server listens on the loopback interface only, so these are for who is at the machine; pages of
other sites, which the browser of who is there may have open, are turned away.
"""

from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from fractaltrader.errors import UserError
from fractaltrader.simulator.faults.injector import Injector
from fractaltrader.simulator.faults.plan import KINDS, described, kind_of, parse_fault, parse_plan
from fractaltrader.simulator.feeds.feed import Feed
from fractaltrader.simulator.feeds.tape import Tape
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.protocol.gateway import JSON

ACCOUNTS_SHOWN = 50
OWN_HOSTS = ("127.0.0.1", "localhost", "::1")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def local_pages_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse /admin to what a browser sends for a page of another host (its Origin, or its Host
    where a foreign name was pointed here)."""
    if request.path.startswith("/admin"):
        origin = request.headers.get("Origin")
        for url in (f"http://{request.host}", *([origin] if origin is not None else [])):
            if _host_of(url) not in OWN_HOSTS:
                return web.Response(status=403, text="admin: only pages of this machine may ask")
    return await handler(request)


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


class Admin:
    """Routes under /admin, and the page at /."""

    def __init__(
        self, exchange: LocalExchange, feed: Feed | Tape | None, speed: float, faults: Injector
    ) -> None:
        self._exchange = exchange
        self._feed = feed
        self._speed = speed
        self._faults = faults

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register every route."""
        router.add_get("/", self._page)
        router.add_post("/admin/faucet", self._faucet)
        router.add_get("/admin/status", self._status)
        router.add_get("/admin/view", self._view)
        router.add_get("/admin/faults", self._list_faults)
        router.add_post("/admin/faults", self._add_faults)
        router.add_delete("/admin/faults", self._remove_faults)
        router.add_delete("/admin/faults/{number}", self._remove_faults)
        router.add_post("/admin/faults/{number}", self._switch_fault)

    async def _page(self, _request: web.Request) -> web.Response:
        page = files("fractaltrader.simulator.serving").joinpath("inspection.html").read_text()
        policy = "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
        headers = {"Content-Security-Policy": policy}
        return web.Response(text=page, content_type="text/html", headers=headers)

    async def _faucet(self, request: web.Request) -> web.Response:
        try:
            body = msgspec.json.decode(await request.read(), type=dict[str, str | int | float])
            amount = Decimal(str(body["usd"]))
            self._exchange.faucet(str(body["user"]), amount)
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, InvalidOperation):
            return _refused('faucet: send {"user": "0x…", "usd": "10000"}')
        except UserError as error:
            return _refused(str(error))
        return _json({"status": "ok"})

    async def _status(self, _request: web.Request) -> web.Response:
        return _json(self._status_fields())

    def _status_fields(self) -> dict[str, Any]:
        ended = self._feed is None or self._feed.ended.is_set()
        return {"time": self._exchange.now_ms(), "ended": ended, "speed": self._speed}

    async def _view(self, request: web.Request) -> web.Response:
        """What the inspection page shows; `coin` chooses the book."""
        exchange = self._exchange
        coin = request.query.get("coin") or next(iter(exchange.coins), None)
        mids = exchange.info({"type": "allMids"})
        return _json(
            {
                **self._status_fields(),
                "coins": [{"coin": name, "mid": mids.get(name)} for name in exchange.coins],
                "book": exchange.info({"type": "l2Book", "coin": coin}) if coin else None,
                "trades": exchange.info({"type": "recentTrades", "coin": coin}) if coin else [],
                "accounts": [self._account(user) for user in self._users()],
                "faults": self._fault_rows(),
                "kinds": [str(kind.__struct_config__.tag) for kind in KINDS],
            }
        )

    def _users(self) -> list[str]:
        return list(self._exchange.state.accounts)[:ACCOUNTS_SHOWN]

    def _account(self, user: str) -> dict[str, Any]:
        state = self._exchange.info({"type": "clearinghouseState", "user": user})
        return {
            "user": user,
            "value": state["marginSummary"]["accountValue"],
            "withdrawable": state["withdrawable"],
            "positions": [item["position"] for item in state["assetPositions"]],
            "orders": self._exchange.info({"type": "frontendOpenOrders", "user": user}),
        }

    def _fault_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "number": entry.number,
                "enabled": entry.enabled,
                "struck": entry.struck,
                "fault": described(entry.fault),
                "kind": kind_of(entry.fault),
            }
            for entry in self._faults.entries
        ]

    async def _list_faults(self, _request: web.Request) -> web.Response:
        return _json(self._fault_rows())

    async def _add_faults(self, request: web.Request) -> web.Response:
        """Add one fault, or every one of `{"fault": […]}`; the numbers they got."""
        try:
            body = msgspec.json.decode(await request.read())
            many = isinstance(body, dict) and "fault" in body
            plan = parse_plan(body) if many else [parse_fault(body)]
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _refused(f"faults: the body is no JSON ({error})")
        except UserError as error:
            return _refused(str(error))
        return _json({"numbers": [self._faults.add(fault) for fault in plan]})

    async def _remove_faults(self, request: web.Request) -> web.Response:
        """Remove the fault of that number, or all."""
        if "number" not in request.match_info:
            self._faults.clear()
            return _json({"status": "ok"})
        try:
            self._faults.remove(_number_of(request))
        except UserError as error:
            return _refused(str(error))
        return _json({"status": "ok"})

    async def _switch_fault(self, request: web.Request) -> web.Response:
        """Switch a fault with `{"enabled": true}` or false."""
        try:
            body = msgspec.json.decode(await request.read(), type=dict[str, bool])
            self._faults.switch(_number_of(request), on=body["enabled"])
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
            return _refused('faults: send {"enabled": true} or {"enabled": false}')
        except UserError as error:
            return _refused(str(error))
        return _json({"status": "ok"})


def _number_of(request: web.Request) -> int:
    text = request.match_info["number"]
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise UserError(f"fault: {text[:20]!r} is no number; GET /admin/faults lists them")
    return int(text)


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type=JSON)


def _refused(text: str) -> web.Response:
    return web.Response(status=422, text=text)
