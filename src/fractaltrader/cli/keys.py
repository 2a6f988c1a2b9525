"""`fractal keys`: encrypted keys, and agent wallets that may trade but not withdraw."""

from typing import TYPE_CHECKING, Annotated

import typer

from fractaltrader.cli.venue import ConfigFile, Mode, Url

if TYPE_CHECKING:
    from fractaltrader.cli.venue import Connect
    from fractaltrader.config import Config
    from fractaltrader.exchange.hyperliquid.signing import Signer
    from fractaltrader.keys.agents import Standing
    from fractaltrader.keys.keystore import Keystore
    from fractaltrader.keys.password import Passwords

app = typer.Typer(
    help="Encrypted keys and agent wallets.", no_args_is_help=True, add_completion=False
)

DAY_MS = 86_400_000

Name = Annotated[str, typer.Argument(help="Name of the key, like bot or guard.")]
Master = Annotated[
    str | None,
    typer.Option(help="Stored key of the account. Without: asked for and not stored."),
]
Days = Annotated[int, typer.Option(min=1, max=180, help="Days until the agent expires.")]


@app.command()
def new(name: Name) -> None:
    """Make a key and store it encrypted; approve it as an agent next."""
    import secrets

    from fractaltrader.cli.secrets import known_passwords

    store = _store()
    _free(store, name)
    address = store.create(name, secrets.token_bytes(32), known_passwords().new(name))
    typer.echo(
        f"key {name} made: {address}\nencrypted in {store.path(name)}\n"
        f"next: `fractal keys approve-agent {name}`"
    )


@app.command("import")
def import_key(name: Name) -> None:
    """Store an existing private key encrypted; it is typed at a prompt or piped in.

    Prefer an agent's key: an account's own key can also withdraw."""
    from fractaltrader.cli.secrets import known_passwords
    from fractaltrader.exchange.hyperliquid.signing import Signer

    store = _store()
    _free(store, name)
    text = _private_key(f"key {name}")
    Signer(text)  # refuses what is no key before a password is asked for
    secret = bytes.fromhex(text.removeprefix("0x"))
    address = store.create(name, secret, known_passwords().new(name))
    typer.echo(f"key {name} stored: {address}\nencrypted in {store.path(name)}")


@app.command("approve-agent")
def approve_agent(
    name: Name,
    config: ConfigFile = None,
    venue: Mode = None,
    url: Url = None,
    master: Master = None,
    agent_name: Annotated[
        str, typer.Option(help="The agent's name at the venue; each bot and guard its own.")
    ] = "fractal",
    days: Days = 180,
    replace: Annotated[
        bool, typer.Option("--replace", help="Cut off the agent that has this name now.")
    ] = False,
) -> None:
    """Let a stored key trade for your account: signed once with the account's own key."""
    import asyncio

    from fractaltrader.cli.secrets import known_passwords
    from fractaltrader.cli.venue import configured, reached
    from fractaltrader.keys.agents import approve, require_master

    settings, store, passwords = configured(config, venue, url), _store(), known_passwords()
    address = store.address(name)

    async def work() -> None:
        async with reached(settings, "keys", administers=True) as connect:
            owner = await _owner(settings, store, connect, passwords, master)
            master_venue = connect(owner, owner.address)
            await require_master(master_venue, owner.address)
            found = await approve(
                master_venue,
                owner.address,
                address,
                agent_name,
                _now() + days * DAY_MS,
                sleep=asyncio.sleep,
                replace=replace,
            )
        typer.echo(f"{address} is {found}")

    asyncio.run(work())


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="Only this key.")] = None,
    config: ConfigFile = None,
    venue: Mode = None,
    url: Url = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the venue.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show the keys' addresses, what each is to the venue, and when it expires; never a key."""
    import asyncio
    import json
    from dataclasses import asdict

    from fractaltrader.cli.venue import configured

    settings, store = configured(config, venue, url), _store()
    rows = _addresses(store, name)
    found = {} if offline else asyncio.run(_standings(settings, [address for _, address in rows]))
    if as_json:
        nothing: dict[str, object] = {}
        typer.echo(
            json.dumps(
                [
                    {"name": label, "address": address}
                    | (asdict(found[address]) if address in found else nothing)
                    for label, address in rows
                ]
            )
        )
        return
    typer.echo(f"on {settings.venue.endpoint}:")
    for label, address in rows:
        typer.echo(f"{label}: {address}, {found.get(address, '(not asked)')}")


@app.command()
def rotate(
    name: Name,
    config: ConfigFile = None,
    venue: Mode = None,
    url: Url = None,
    master: Master = None,
    days: Days = 180,
    finish: Annotated[
        bool, typer.Option("--finish", help="Deregister the old agent after a restart.")
    ] = False,
) -> None:
    """Put a new agent in the place of an old one.

    The new one is approved and tried before it takes the name. The old one is deregistered at once
    when nothing runs for the account, else by --finish after you have restarted bot and guard."""
    import asyncio

    from fractaltrader.cli.rotation import finish_rotation, start_rotation
    from fractaltrader.cli.secrets import known_passwords
    from fractaltrader.cli.venue import configured, reached

    settings, store, passwords = configured(config, venue, url), _store(), known_passwords()
    store.address(name)

    async def work() -> None:
        async with reached(settings, "keys", administers=True) as connect:
            owner = await _owner(settings, store, connect, passwords, master)
            if not finish:
                until_ms = _now() + days * DAY_MS
                await start_rotation(store, name, owner, connect, passwords.of(name), until_ms)
            await finish_rotation(store, name, owner, connect, insist=finish)

    asyncio.run(work())


def _store() -> "Keystore":
    from fractaltrader.home import fractal_home
    from fractaltrader.live.wallet import keystore_in

    return keystore_in(fractal_home())


def _free(store: "Keystore", name: str) -> None:
    """Raise UserError before anything is asked when the name cannot be used."""
    store.names()
    store.check_free(name)


def _now() -> int:
    from fractaltrader.exchange.clock import SystemClock

    return SystemClock().now_ms()


def _private_key(whose: str) -> str:
    import sys

    from fractaltrader.cli.secrets import terminal
    from fractaltrader.keys.password import private_key_from

    return private_key_from(terminal(), sys.stdin.readline, whose)


async def _owner(
    config: "Config",
    store: "Keystore",
    connect: "Connect",
    known: "Passwords",
    name: str | None,
) -> "Signer":
    """The account's own key: stored, the local exchange's play key, or asked for."""
    from fractaltrader.cli.venue import play_account
    from fractaltrader.exchange.hyperliquid.signing import Signer
    from fractaltrader.keys.hiding import forbid_core_dumps, hide_in_tracebacks
    from fractaltrader.live.local_venue import is_loopback

    forbid_core_dumps()
    if name is not None:
        signer = store.open(name, known.of(name))
    elif config.venue.mode == "sim" and is_loopback(config.venue.endpoint):
        return await play_account(config, connect)
    else:
        signer = Signer(_private_key("the account (its own, not an agent's)"))
    hide_in_tracebacks(signer.redact)
    return signer


def _addresses(store: "Keystore", name: str | None) -> list[tuple[str, str]]:
    """Label and address of the keys, with what rotations have left."""
    from fractaltrader.errors import UserError

    names = [name] if name is not None else store.names()
    if not names:
        raise UserError(f"keys: there is none in {store.folder}; `fractal keys new NAME` makes one")
    rows = [(one, store.address(one)) for one in names]
    for one in names:
        if store.has(one, "old"):
            rows.append((f"{one} (old, see rotate --finish)", store.address(one, "old")))
    return rows


async def _standings(config: "Config", addresses: list[str]) -> "dict[str, Standing]":
    from fractaltrader.cli.venue import reached
    from fractaltrader.keys.agents import standing

    async with reached(config, "keys", administers=True) as connect:
        return {address: await standing(connect(None, address), address) for address in addresses}
