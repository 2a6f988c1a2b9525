"""Commands from the command line to a running bot, through the state file.

The command line puts a command in; the bot takes it out on its next heartbeat (2 s) in one durable
write together with its effect and the acknowledgement. Commands that end the bot are meant for the
process that runs now, so those an earlier process left behind are discarded at the start.
"""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from fractaltrader.errors import UserError
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.lock import only_bot
from fractaltrader.live.state import ALL_COINS, Acknowledgement, BotState, Command, Control
from fractaltrader.live.state_manager import StateManager
from fractaltrader.market import Clock
from fractaltrader.risk.breaker import Breaker
from fractaltrader.risk.breaker_parameters import BreakerParameters, Cause
from fractaltrader.risk.breaker_state import Phase

if TYPE_CHECKING:
    from fractaltrader.live.desk import Desk

PENDING_LIMIT = 16
ACKNOWLEDGED_KEPT = 16
LONGEST_ARGUMENT = 64
DONE = "done"


class Verb(StrEnum):
    """What can be asked of a running bot."""

    STOP = "stop"  # after the event in hand and a last reconciliation
    KILL = "kill"  # at once
    PAUSE = "pause"
    RESUME = "resume"
    FLATTEN = "flatten"  # argument: a coin, or ALL_COINS, which pauses too
    RESET_BREAKER = "reset-breaker"  # argument: a cause, or nothing for all of them


ENDINGS = frozenset({Verb.STOP, Verb.KILL})


def request(manager: StateManager, verb: Verb, argument: str, now_ms: int) -> int:
    """Ask the bot for something; the number its acknowledgement will carry.

    Raises UserError when so many commands wait that the bot must be dead, or the argument is long.
    """
    if len(argument) > LONGEST_ARGUMENT:
        raise UserError(f"{verb}: {argument[:20]!r}… is longer than {LONGEST_ARGUMENT} characters")
    with manager.update() as state:
        control = state.control
        if len(control.pending) >= PENDING_LIMIT:
            raise UserError(
                f"{verb}: {PENDING_LIMIT} commands wait already, the bot does not answer; see its "
                "bot.log, or end it with `fractal kill`"
            )
        control.last_number += 1
        control.pending.append(
            Command(number=control.last_number, verb=verb, argument=argument, requested_ms=now_ms)
        )
        return control.last_number


def acknowledgement(state: BotState, number: int) -> Acknowledgement | None:
    """What became of the command with this number; None while it waits."""
    return next((done for done in state.control.acknowledged if done.number == number), None)


def parse_causes(argument: str) -> list[Cause]:
    """The cause named, or all of them for an empty `argument`; UserError lists what is known."""
    if not argument:
        return list(Cause)
    if argument not in list(Cause):
        raise UserError(f"cause: {argument!r} is unknown; known are {', '.join(Cause)}")
    return [Cause(argument)]


def carry_out(desk: "Desk") -> list[Verb]:
    """Take the waiting commands off the state and apply them, in the heartbeat's durable write.

    Returns the verbs of those that the bot itself must act on.
    """
    taken: list[Verb] = []
    now = desk.clock.now_ms()

    def take(state: BotState) -> None:
        for command in state.control.pending:
            result = _apply(desk, command)
            _acknowledge(state.control, command, result, now)
            desk.event(f"command {command.verb} {command.argument}: {result}")
            if command.verb in ENDINGS:
                taken.append(Verb(command.verb))
        state.control.pending = []

    desk.write(take)
    desk.breaker.publish()
    return taken


def reset_stopped(folder: Path, causes: list[Cause], clock: Clock) -> list[Cause]:
    """Close latches of the run in `folder` while no bot runs there; those that were not closed.

    Raises UserError when a bot has started meanwhile.
    """
    with only_bot(folder):
        with StateManager(folder, clock).update() as state:
            before = [
                c for c, latch in state.breaker.latches.items() if latch.phase is not Phase.CLOSED
            ]
            breaker = Breaker(BreakerParameters(), state.breaker)
            breaker.reset(clock.now_ms(), causes)
        ledger = Ledger(folder)
        for event in breaker.events:
            ledger.add_breaker_event(event)
        ledger.close()
    return [cause for cause in before if cause in causes]


def discard_endings(control: Control, now_ms: int) -> None:
    """Drop commands that an earlier process was to end by; it has ended."""
    for command in control.pending:
        if command.verb in ENDINGS:
            _acknowledge(control, command, "discarded: that process had ended already", now_ms)
    control.pending = [command for command in control.pending if command.verb not in ENDINGS]


def _apply(desk: "Desk", command: Command) -> str:
    match command.verb:
        case Verb.PAUSE:
            desk.paused = True
        case Verb.RESUME:
            desk.paused = False
        case Verb.FLATTEN:
            desk.flattening.add(command.argument)
            desk.paused = desk.paused or command.argument == ALL_COINS
        case Verb.RESET_BREAKER:
            try:
                causes = parse_causes(command.argument)
            except UserError as error:
                return str(error)
            desk.breaker.reset(causes)
        case Verb.STOP | Verb.KILL:
            pass
        case _:
            return "unknown command"
    return DONE


def _acknowledge(control: Control, command: Command, result: str, now_ms: int) -> None:
    done = Acknowledgement(number=command.number, verb=command.verb, result=result, time_ms=now_ms)
    control.acknowledged = [*control.acknowledged, done][-ACKNOWLEDGED_KEPT:]
