"""Throws anything at the local exchange: `python tests/simulator/fuzzing.py 100000 [seed]`.

Inputs start from valid requests, actions (signed as the server will read them, so that they reach
the room that executes them) and subscriptions, which are then mutated; some are no JSON at all.
What must hold: a status the venue uses, a body that parses, no exception, no slow answer, books
that balance, nothing left of closed sockets, and memory that stays within what the state keeps.
"""

import gc
import json
import random
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
from exchange_world import LISTINGS, ORIGIN_MS

from fractaltrader.exchange.hyperliquid.signing import Signer, keccak256
from fractaltrader.simulator.clearing.conservation import books_balance
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.protocol import actions
from fractaltrader.simulator.protocol.forms.common import UnprocessableError
from fractaltrader.simulator.protocol.forms.envelope import parse_envelope, signed_form
from fractaltrader.simulator.protocol.forms.user_signed import UserSignedForm
from fractaltrader.simulator.protocol.gateway import JSON, WebSocketSession, respond
from fractaltrader.simulator.protocol.info import answers
from fractaltrader.simulator.protocol.topics.streams import TOPICS
from fractaltrader.simulator.virtual_time import SteppedClock

STATUSES = {200, 400, 404, 405, 413, 415, 422}
SLOWEST_SECONDS = 2.0
# Memory is watched over the last inputs, for watching is slow.
WATCHED = 5_000
REPORTED_EVERY = 5_000
# Longer lists are not multiplied: doubled in turn they would fill the memory, not the exchange.
LONGEST_LIST = 500
USERS = ("alice", "bob", "carol")
SIGNERS = [Signer("0x" + keccak256(name.encode()).hex()) for name in USERS]
ADDRESSES = [signer.address for signer in SIGNERS] + ["0x" + "ab" * 20, "0x" + "0" * 40]
CLOIDS = [f"0x{number:032x}" for number in range(4)]
MENU = sorted(answers.HANDLERS)
FORMS: list[Any] = sorted(actions._HANDLERS, key=lambda form: form.__name__)
SUBSCRIPTIONS = sorted(TOPICS)
NASTY: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, 2**53, 2**63 - 1, 2**64 - 1, -(2**63), 10**30, 0.1, -0.0,
    1e308, "", "0", "-0", "-1", "1e5", "NaN", "Infinity", "0.00000001", "999999999999999", "1" * 40,
    "0x", "0x" + "f" * 64, "\u0000", "é" * 300, "{asset}", "BTC", "ETH", "DOGE", "@1", "1m", "1M",
    [], {}, [[]], {"a": {}}, ["BTC"] * 50, {"type": "order"},
]  # fmt: skip
GARBAGE = [
    b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"type":' * 500, b"[" * 20_000, b"1" * 5_000,
    b'{"type":"meta"', b'{"type":"meta"}x', b'"' + b"a" * 100_000 + b'"', b"-" + b"9" * 400,
    b'{"a":1,"a":2}', b"\x00", b"NaN", b'{"a":"\x8d"}', b'{"type":"\\ud800"}',
    b'{"method":"\\ud83d"}',
]  # fmt: skip


@dataclass
class Findings:
    """What came of the inputs."""

    answers: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    kept_bytes: int = 0


class Fuzzer:
    """One exchange and everything that is thrown at it, a function of the seed."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.clock = SteppedClock(ORIGIN_MS)
        self.exchange = LocalExchange(LISTINGS, clock=self.clock, seed=seed)
        self.exchange.address_limits = False
        self.prices = {"BTC": Decimal(100_000), "ETH": Decimal(4_000)}
        for coin, price in self.prices.items():
            self.exchange.move(coin, price)
        for signer in SIGNERS:
            self.exchange.faucet(signer.address, Decimal(1_000_000))
        self.nonce = ORIGIN_MS
        self.findings = Findings()
        self.frames = 0
        self.sessions = [self._session() for _ in range(4)]

    def _session(self) -> WebSocketSession:
        return WebSocketSession(self.exchange, self._heard)

    def _heard(self, text: str) -> None:
        json.loads(text)
        self.frames += 1

    def run(self, inputs: int, report: Callable[[int], None] | None = None) -> Findings:
        """Throw `inputs`; raises AssertionError naming the input that broke something.

        `report` is called with the number thrown so far, before each.
        """
        watched = min(inputs // 5, WATCHED)
        try:
            for number in range(inputs):
                if report is not None:
                    report(number)
                if number == inputs - watched:
                    gc.collect()
                    tracemalloc.start()
                if number % 50 == 0:
                    self._let_time_pass()
                self._throw()
            for session in self.sessions:
                session.close()
            gc.collect()
            self.findings.kept_bytes = tracemalloc.get_traced_memory()[0] // watched
        finally:
            tracemalloc.stop()
        assert not self.exchange._streams._topics, "subscriptions outlive their sockets"
        return self.findings

    def _let_time_pass(self) -> None:
        dice = self.dice
        # Hours are rare: every running TWAP sends 120 orders in one.
        step = dice.choices([10, 1_000, 60_000, 3_600_000], [30, 35, 30, 5])[0]
        self.clock.set(self.clock.now_ms() + step)
        coin = dice.choice(list(self.prices))
        factor = Decimal(repr(round(dice.uniform(0.97, 1.031), 4)))
        price = min(max(self.prices[coin] * factor, Decimal(50)), Decimal(900_000))
        self.prices[coin] = self.exchange._core.instruments[coin].round_price(price)
        self.exchange.move(
            coin, self.prices[coin], jump=dice.random() < 0.3, volume=Decimal("1.25")
        )
        balance = books_balance(self.exchange._core)
        assert balance == 0, f"the books are off by {balance}"

    def _throw(self) -> None:
        kind = self.dice.choices(["info", "exchange", "ws", "bytes"], [30, 40, 22, 8])[0]
        match kind:
            case "info":
                self._post("/info", self._encoded(self._mutated(self._question())))
            case "exchange":
                self._post("/exchange", self._encoded(self._action()))
            case "ws":
                self._send(self._encoded(self._message()).decode())
            case _:
                self._send_bytes()

    @contextmanager
    def _timed(self, thrown: str | bytes) -> Iterator[None]:
        """Whatever `thrown` raises or takes too long for is a finding that shows it.

        Processor time: a busy machine is no fault of the exchange's.
        """
        begun = time.thread_time()
        try:
            yield
        except Exception as error:
            raise AssertionError(f"raised by {thrown[:2000]!r}") from error
        taken = time.thread_time() - begun
        self.findings.slowest = max(self.findings.slowest, taken)
        assert taken < SLOWEST_SECONDS, f"{taken:.1f} s for {thrown[:2000]!r}"

    def _encoded(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def _post(self, path: str, body: bytes, kind: str = JSON, method: str = "POST") -> None:
        with self._timed(f"{method} {path} ".encode() + body):
            reply = respond(self.exchange, method, path, kind, body)
        assert reply.status in STATUSES, (reply, body)
        if reply.content_type == JSON:
            answer = json.loads(reply.body)
            outcome = answer.get("status") if isinstance(answer, dict) else "data"
        else:
            outcome = ""
        self.findings.answers[f"{path} {reply.status} {outcome or 'data'}".strip()] += 1

    def _send(self, text: str) -> None:
        place = self.dice.randrange(len(self.sessions))
        with self._timed(text):
            self.sessions[place].receive(text)
        self.findings.answers["frame"] += 1
        if self.dice.random() < 0.01:
            self.sessions[place].close()
            self.sessions[place] = self._session()

    def _send_bytes(self) -> None:
        """No JSON, half a JSON, another method, another type, another path."""
        dice = self.dice
        body = dice.choice(GARBAGE)
        if dice.random() < 0.5:
            whole = self._encoded(self._question())
            body = whole[: dice.randrange(len(whole))] + dice.randbytes(dice.randrange(4))
        if dice.random() < 0.3:
            self._send(body.decode(errors="replace"))
            return
        path = dice.choice(["/info", "/exchange", "/ws2", "/", "//info"])
        kind = dice.choice([JSON, JSON, "text/plain", "", "application/x+json"])
        self._post(path, body, kind, dice.choice(["POST", "POST", "GET", "OPTIONS", "PUT"]))

    def _question(self) -> dict[str, Any]:
        dice, now = self.dice, self.clock.now_ms()
        fields = {
            "user": dice.choice(ADDRESSES),
            "coin": dice.choice(["BTC", "ETH"]),
            "startTime": now - dice.choice([0, 60_000, 86_400_000, ORIGIN_MS]),
            "endTime": dice.choice([None, now, now * 2]),
            "oid": dice.choice([10_000_000_001, CLOIDS[0]]),
            "aggregateByTime": dice.random() < 0.5,
            "nSigFigs": dice.choice([None, 2, 5]),
            "id": dice.choice([1, 50, 56]),
            "builder": ADDRESSES[1],
            "dex": "",
            "interval": dice.choice(["1m", "1h", "1d"]),
        }
        request = {"coin": fields["coin"], "interval": "5m", "startTime": 0, "endTime": now}
        kept = {key: value for key, value in fields.items() if dice.random() < 0.8}
        return {"type": dice.choice(MENU), **kept, "req": request}

    def _message(self) -> Any:
        dice = self.dice
        topic = {"type": dice.choice(SUBSCRIPTIONS), "user": dice.choice(ADDRESSES)}
        topic |= {"coin": dice.choice(["BTC", "ETH"]), "interval": dice.choice(["1m", "1h"])}
        method = dice.choice(["subscribe", "subscribe", "unsubscribe"])
        message: Any = {"method": method, "subscription": topic}
        drawn = dice.random()
        if drawn < 0.15:
            request = {"type": "info", "payload": self._question()}
            message = {"method": "post", "id": dice.randrange(100), "request": request}
        elif drawn < 0.3:
            request = {"type": "action", "payload": self._action()}
            message = {"method": "post", "id": dice.randrange(100), "request": request}
        elif drawn < 0.35:
            message = {"method": "ping"}
        return self._mutated(message)

    def _action(self) -> Any:
        """An envelope, signed as the server will read it where it can be read."""
        dice = self.dice
        form = dice.choice(FORMS)
        if dice.random() < 0.4:
            form = dice.choice([one for one in FORMS if "Order" in one.__name__] or FORMS)
        action = {"type": form.__struct_config__.tag, **self._fields(form)}
        self.nonce = max(self.nonce + 1, self.clock.now_ms())
        if "signatureChainId" in action:
            action |= {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
            action["time" if "time" in action else "nonce"] = self.nonce
        body: Any = {"action": self._mutated(action, 0.6), "nonce": self.nonce}
        body["signature"] = {"r": "0x1", "s": "0x1", "v": 27}
        if dice.random() < 0.1:
            body["vaultAddress"] = dice.choice([None, *ADDRESSES])
        if dice.random() < 0.1:
            body["expiresAfter"] = self.nonce + dice.choice([-1, 60_000])
        self._sign(body)
        return self._mutated(body) if dice.random() < 0.05 else body

    def _sign(self, body: dict[str, Any]) -> None:
        signer = self.dice.choice(SIGNERS)
        try:
            envelope = parse_envelope(body)
            if isinstance(envelope.action, UserSignedForm):
                digest = envelope.action.digest(envelope.nonce, mainnet=False)
                body["signature"] = signer.sign_digest(digest)
                return
            form = signed_form(envelope)
            body["signature"] = signer.sign_action(
                form["action"],
                form["nonce"],
                mainnet=False,
                vault_address=form["vaultAddress"],
                expires_after=form["expiresAfter"],
            )
        except (UnprocessableError, ValueError, TypeError, OverflowError):
            return  # cannot be read, so it goes with a signature of nobody

    def _fields(self, form: Any) -> dict[str, Any]:
        chosen = {}
        for item in _shape(form).fields:
            if item.required or self.dice.random() < 0.6:
                chosen[item.encode_name] = self._value(item.encode_name, item.type)
        if {"limit", "trigger"} == {item.encode_name for item in _shape(form).fields}:
            kind = self.dice.choice(_shape(form).fields)
            return {kind.encode_name: self._fields(_struct_of(kind.type))}
        return chosen

    def _value(self, name: str, kind: Any) -> Any:
        dice = self.dice
        match kind:
            case msgspec.inspect.UnionType():
                return self._value(name, dice.choice(kind.types))
            case msgspec.inspect.StructType():
                return self._fields(kind.cls)
            case msgspec.inspect.ListType() | msgspec.inspect.VarTupleType():
                return [self._value(name, kind.item_type) for _ in range(dice.choice([1, 1, 2, 3]))]
            case msgspec.inspect.DictType():
                return {"p": 1}
            case msgspec.inspect.LiteralType():
                return dice.choice(kind.values)
            case msgspec.inspect.BoolType():
                return dice.random() < 0.5
            case msgspec.inspect.IntType():
                return self._number(name)
            case msgspec.inspect.NoneType():
                return None
            case _:
                return self._text(name)

    def _number(self, name: str) -> int:
        dice = self.dice
        if name in ("a", "asset"):
            return dice.choice([0, 0, 0, 1, 1, 2])
        if name in ("o", "oid"):
            return self.exchange.state.next_oid - dice.randrange(30)
        if name == "m":
            return dice.choices([5, 30, 10_080], [10, 10, 1])[0]
        if name == "time":
            return self.clock.now_ms() + dice.choice([1_000, 10_000, 3_600_000])
        return dice.choice([1, 2, 5, 20, 40, 100, 1_000_000])

    def _text(self, name: str) -> str:
        dice = self.dice
        if name in ("p", "triggerPx"):
            coin = dice.choice(["BTC", "BTC", "ETH"])
            price = self.prices[coin] * Decimal(repr(round(dice.gauss(1, 0.01), 4)))
            rounded = self.exchange._core.instruments[coin].round_price(price)
            return f"{rounded.normalize():f}"
        if name == "s":
            return dice.choice(["0.01", "0.5", "2", "0", "0.0001", "10"])
        if name == "maxFeeRate":
            return "0.01%"
        if name in ("c", "cloid", "oid"):
            return dice.choice(CLOIDS)
        if name in ("amount", "leverage"):
            return dice.choice(["1", "100.5", "3"])
        if name == "token":
            return "USDC:0xeb62eee3685fc4c43992febcd9e75443"
        if name in ("sourceDex", "destinationDex", "fromSubAccount"):
            return ""
        if name in ("name", "agentName", "displayName", "code"):
            return f"name{dice.randrange(6)}"
        return dice.choice(ADDRESSES)

    def _mutated(self, value: Any, spared: float = 0.35) -> Any:
        """`value` with none, one or a few of its parts replaced, dropped, doubled or renamed."""
        if self.dice.random() < spared:
            return value
        for _ in range(self.dice.choices([1, 2, 6], [60, 30, 10])[0]):
            value = self._mutated_once(value)
        return value

    def _mutated_once(self, value: Any) -> Any:
        dice = self.dice
        if isinstance(value, dict) and value and dice.random() < 0.9:
            key = dice.choice(list(value))
            drawn = dice.random()
            if drawn < 0.65:
                return value | {key: self._mutated_once(value[key])}
            if drawn < 0.8:
                return {name: item for name, item in value.items() if name != key}
            if drawn < 0.9:
                return value | {dice.choice(["x", "type", key.upper()]): dice.choice(NASTY)}
            return value | {key: dice.choice(list(value.values()))}
        if isinstance(value, list) and value and dice.random() < 0.9:
            place = dice.randrange(len(value))
            if dice.random() < 0.2 and len(value) <= LONGEST_LIST:
                return value * dice.choice([2, 70])
            return [*value[:place], self._mutated_once(value[place]), *value[place + 1 :]]
        return dice.choice(NASTY)


@cache
def _shape(form: Any) -> Any:
    return msgspec.inspect.type_info(form)


def _struct_of(kind: Any) -> Any:
    return next(one.cls for one in kind.types if isinstance(one, msgspec.inspect.StructType))


def main() -> None:
    """Throw as many inputs as the first argument says and print what came back."""
    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    begun = time.perf_counter()
    fuzzer = Fuzzer(seed)

    def report(thrown: int) -> None:
        if thrown and thrown % REPORTED_EVERY == 0:
            gone, slowest = time.perf_counter() - begun, fuzzer.findings.slowest * 1000
            print(f"{thrown:8,} inputs, {gone:4.0f} s, slowest {slowest:.0f} ms", flush=True)

    findings = fuzzer.run(inputs, report)
    for name, count in sorted(findings.answers.items()):
        print(f"{count:8,}  {name}")
    print(
        f"{inputs:,} inputs in {time.perf_counter() - begun:.0f} s, {fuzzer.frames:,} frames sent; "
        f"slowest {findings.slowest * 1000:.0f} ms; {findings.kept_bytes:,} bytes kept an input "
        "at the end"
    )


if __name__ == "__main__":
    main()
