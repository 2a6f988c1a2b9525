"""The body of POST /exchange."""

from typing import Any

import msgspec

from fractaltrader.simulator.protocol.forms.account import NoopAction, UpdateLeverageAction
from fractaltrader.simulator.protocol.forms.common import UnprocessableError, address_of
from fractaltrader.simulator.protocol.forms.identity import IDENTITY
from fractaltrader.simulator.protocol.forms.money import MONEY
from fractaltrader.simulator.protocol.forms.orders import (
    BatchModifyAction,
    CancelAction,
    CancelByCloidAction,
    ModifyAction,
    OrderAction,
)
from fractaltrader.simulator.protocol.forms.timed import TIMED
from fractaltrader.simulator.protocol.forms.user_signed import USER_SIGNED

Action = (
    OrderAction
    | CancelAction
    | CancelByCloidAction
    | ModifyAction
    | BatchModifyAction
    | UpdateLeverageAction
    | NoopAction
    | TIMED
    | IDENTITY
    | MONEY
    | USER_SIGNED
)


class Envelope(msgspec.Struct, rename="camel"):
    """An action, who signed it and until when it is good."""

    action: Action
    nonce: int
    signature: dict[str, int | str]
    vault_address: str | None = None
    expires_after: int | None = None


def parse_envelope(body: object) -> Envelope:
    """The envelope with its action in normal form; raises UnprocessableError."""
    try:
        envelope = msgspec.convert(body, Envelope)
    except msgspec.ValidationError as error:
        raise UnprocessableError(str(error)) from None
    envelope.action.normalise()
    if envelope.vault_address is not None:
        envelope.vault_address = address_of(envelope.vault_address)
    return envelope


def signed_form(envelope: Envelope) -> dict[str, Any]:
    """The envelope as `recover_action_signer` takes it."""
    return {
        "action": msgspec.to_builtins(envelope.action),
        "nonce": envelope.nonce,
        "vaultAddress": envelope.vault_address,
        "expiresAfter": envelope.expires_after,
        "signature": envelope.signature,
    }
