"""The recorded responses beside the repository, and which of them have no counterpart here."""

import json
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "fixtures"

# Fixtures without a counterpart here, and why.
EXCLUDED = {
    "http_info/metaAndAssetCtxs_dex_xyz_2026-02-06_first_half": "a builder-deployed dex",
    "http_info/perpDexLimits_xyz": "a builder-deployed dex",
    "http_info/delegatorHistory_even": "staking: nobody can delegate",
    "http_info/userVaultEquities_0": "vaults: there are none",
    "http_info/userRole_vault": "vaults: there are none",
    "http_info/clearinghouseState_negative_totalRawUsd": "its recorders left fields out",
    "http_info/meta_2023_legacy_shape": "a form the venue has left behind",
    "ws/activeSpotAssetCtx": "spot pairs: there are none",
    "ws/outcomeMetaUpdates": "outcome markets: there are none",
    "ws/subscriptionResponse_l2Book_defaults": "its acknowledgement is compared whole below",
    "signing/vectors": "known answers of signing: tests/exchange",
    "errors/address_rate_limited": "a text: test_error_catalogue, row 52",
    "errors/ws_post_error_429": "test_error_catalogue, row 105",
    "errors/ws_too_many_users": "test_error_catalogue, row 102",
    "errors/http_429_null": "test_error_catalogue, row 92",
}


def fixture(name: str) -> dict[str, Any]:
    """A fixture by folder and name."""
    loaded: dict[str, Any] = json.loads((SHARED / f"{name}.json").read_text())
    return loaded


def names(*folders: str) -> list[str]:
    """Every fixture of the folders that has a counterpart here."""
    if not SHARED.is_dir():
        return []
    found = [f"{folder}/{path.stem}" for folder in folders for path in (SHARED / folder).iterdir()]
    return sorted(set(found) - EXCLUDED.keys())
