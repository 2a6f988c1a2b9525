"""API wallets: keys that sign for an account (hyperliquid.md 4.3).

Expiry runs on the clients' clock, which stamps `valid_until`. What the venue says to a name that is
too long is not recorded: it is answered as a form error.
"""

import re
from typing import Any

from fractaltrader.simulator.core import Core, Handler
from fractaltrader.simulator.numbers import ZERO
from fractaltrader.simulator.protocol.forms.common import UnprocessableError
from fractaltrader.simulator.protocol.forms.user_signed import ApproveAgentAction
from fractaltrader.simulator.refusal import RefusedError
from fractaltrader.simulator.state import Agent

DAY_MS = 86_400_000
# The docs give 90 in one copy and 180 in another (hyperliquid.md 12).
LIFE_MS = 180 * DAY_MS
REMOVAL_MS = 5_000
NAMED_FREE = 3
NAMED_PER_SUB_ACCOUNT = 2
NAME_LONGEST = 16
NOBODY = "0x" + "0" * 40
_VALID_UNTIL = re.compile(r"(.*) valid_until (\d{1,15})", re.DOTALL)


def master_of(core: Core, signer: str) -> str | None:
    """The account `signer` is a living agent of; prunes one that expired or has no money behind."""
    agent = core.state.agents.get(signer)
    if agent is None:
        return None
    account = core.account_or_empty(agent.master)
    empty = account.cash <= ZERO and not account.positions
    if empty or agent.valid_until_ms <= core.client_clock.now_ms():
        _deregister(core, signer)
        return None
    return agent.master


def agents_of(core: Core, master: str) -> dict[str, Agent]:
    """The living agents of `master` by address, in order of approval."""
    known = [address for address, agent in core.state.agents.items() if agent.master == master]
    return {
        address: core.state.agents[address]
        for address in known
        if master_of(core, address) is not None
    }


def _deregister(core: Core, address: str) -> None:
    del core.state.agents[address]
    core.state.nonces.pop(address, None)


def _name_and_end(text: str, now_ms: int) -> tuple[str | None, int]:
    """Name (None for the unnamed agent) and expiry of `agentName`."""
    found = _VALID_UNTIL.fullmatch(text)
    end_ms = now_ms + LIFE_MS
    if found is not None:
        text = found[1]
        asked_ms = int(found[2])
        if asked_ms <= now_ms:
            raise RefusedError("Agent valid_until already expired.")
        end_ms = min(asked_ms, end_ms)
    if len(text) > NAME_LONGEST:
        raise UnprocessableError("invalid agentName")
    return text or None, end_ms


def _approve(core: Core, user: str, action: ApproveAgentAction) -> dict[str, Any]:
    now_ms = core.client_clock.now_ms()
    if now_ms < core.state.agents_removed.get(user, -REMOVAL_MS) + REMOVAL_MS:
        raise RefusedError("User has pending agent removal")
    name, end_ms = _name_and_end(action.agent_name or "", now_ms)
    mine = agents_of(core, user)
    old = next((address for address, agent in mine.items() if agent.name == name), None)
    if action.agent_address == NOBODY:
        if old is not None:
            _deregister(core, old)
            core.state.agents_removed[user] = now_ms
        return {"type": "default"}
    if action.agent_address in core.state.used_agents:
        raise RefusedError("Extra agent already used.")
    if name is not None and old is None:
        subs = sum(sub.master == user for sub in core.state.sub_accounts.values())
        limit = NAMED_FREE + NAMED_PER_SUB_ACCOUNT * subs
        if sum(agent.name is not None for agent in mine.values()) >= limit:
            raise RefusedError(
                "Too many extra agents for cumulative volume traded. " f"Current limit is {limit}"
            )
    if old is not None:
        _deregister(core, old)
    core.state.agents[action.agent_address] = Agent(user, name, end_ms)
    core.state.used_agents[action.agent_address] = now_ms
    return {"type": "default"}


HANDLERS: dict[type, Handler] = {ApproveAgentAction: _approve}
