"""Nonce rules per signer (hyperliquid.md 4.3)."""

from bisect import bisect_left, insort

KEPT = 100
DAY_MS = 86_400_000


def fault_of(stored: list[int], nonce: int, now_ms: int) -> str | None:
    """Why `nonce` is refused at `now_ms`, in the venue's words; None when it is good.

    The venue keeps the 100 highest; a nonce must be new, above the smallest of a full set and
    within two days back and one day ahead. The text of the last rule is not recorded anywhere.
    """
    place = bisect_left(stored, nonce)
    if place < len(stored) and stored[place] == nonce:
        return f"Invalid nonce: duplicate nonce {nonce}"
    if len(stored) >= KEPT and nonce < stored[0]:
        return f"Invalid nonce: nonce too low {nonce} < {stored[0]}"
    if not now_ms - 2 * DAY_MS < nonce < now_ms + DAY_MS:
        return f"Invalid nonce: nonce {nonce} is too far from the current time {now_ms}"
    return None


def use(stored: list[int], nonce: int) -> None:
    """Note a good nonce."""
    insort(stored, nonce)
    del stored[:-KEPT]
