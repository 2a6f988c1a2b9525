"""The structure of JSON: kinds, keys, nesting and null-ability, and where two structures differ."""

import re
from dataclasses import dataclass
from typing import Any

_DECIMAL = re.compile(r"-?\d+\.\d+")
_WHOLE = re.compile(r"-?\d+")
_HEX = re.compile(r"0x[0-9a-fA-F]*")

# A structure: what kinds of value stand at a place, and for objects and lists what stands inside.
Structure = dict[str, Any]


def structure(value: Any) -> Structure:
    """The structure of one value; objects are told apart by their `type`."""
    if isinstance(value, dict):
        tag = value.get("type")
        kind = f"object {tag}" if isinstance(tag, str) else "object"
        return {kind: {"count": 1, "keys": {k: (1, structure(v)) for k, v in value.items()}}}
    if isinstance(value, list):
        return {"list": merged([structure(item) for item in value])}
    return {_kind(value): None}


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool | int | float):
        return type(value).__name__
    if _DECIMAL.fullmatch(value):
        return "decimal text"
    if _WHOLE.fullmatch(value):
        return "whole text"
    return "hex text" if _HEX.fullmatch(value) else "text"


def merged(structures: list[Structure]) -> Structure:
    """What stands at a place over several values."""
    result: Structure = {}
    for one in structures:
        for kind, inside in one.items():
            if kind not in result:
                result[kind] = inside
            elif kind == "list":
                result[kind] = merged([result[kind], inside])
            elif kind.startswith("object"):
                result[kind] = _merged_objects(result[kind], inside)
    return result


def _merged_objects(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    keys = dict(first["keys"])
    for name, (count, inside) in second["keys"].items():
        old_count, old = keys.get(name, (0, {}))
        keys[name] = (old_count + count, merged([old, inside]))
    return {"count": first["count"] + second["count"], "keys": keys}


@dataclass(frozen=True)
class Rules:
    """Places that may differ, each named by its whole path or by the last key of it.

    Optional keys, keys of a newer form, nullable places, maps whose keys are data, and lists that
    are empty here.
    """

    optional: frozenset[str]
    newer: frozenset[str]
    nullable: frozenset[str]
    maps: frozenset[str]
    empty: frozenset[str]

    @staticmethod
    def has(places: frozenset[str], path: str) -> bool:
        """Whether `path` is one of `places`."""
        return path in places or path.rpartition(".")[2] in places


def differences(ours: Structure, recorded: Structure, rules: Rules, path: str) -> list[str]:
    """Where `ours` is not as `recorded`, one line each."""
    found: list[str] = []
    if not recorded.keys() - {"NoneType"}:
        return found  # an empty list or null tells nothing of what else may stand there
    shared = [kind for kind in ours if kind in recorded]
    for kind in ours:
        if kind in recorded or (kind == "NoneType" and rules.has(rules.nullable, path)):
            continue
        if kind.startswith("object ") and any(other.startswith("object") for other in shared):
            continue  # another variant than the recorded ones
        found.append(f"{path}: {kind} instead of {' or '.join(recorded)}")
    is_null = "NoneType" in ours and rules.has(rules.nullable, path)
    if not shared and not found and not is_null and not rules.has(rules.empty, path):
        found.append(f"{path}: nothing of {' or '.join(recorded)}")
    for kind in shared:
        if kind == "list":
            found += differences(ours[kind], recorded[kind], rules, f"{path}[]")
        elif kind.startswith("object"):
            found += _object_differences(ours[kind], recorded[kind], rules, path)
    return found


def _object_differences(
    ours: dict[str, Any], recorded: dict[str, Any], rules: Rules, path: str
) -> list[str]:
    if rules.has(rules.maps, path):
        pair = [merged([inside for _, inside in one["keys"].values()]) for one in (ours, recorded)]
        return differences(*pair, rules, f"{path}.*")
    found = []
    for name, (count, inside) in recorded["keys"].items():
        place = f"{path}.{name}"
        always = count == recorded["count"] and not rules.has(rules.optional, place)
        mine, structure_of_mine = ours["keys"].get(name, (0, {}))
        if always and mine < ours["count"]:
            found.append(f"{path}: {name} is missing")
        if mine:
            found += differences(structure_of_mine, inside, rules, place)
    known = rules.optional | rules.newer
    unknown = sorted(ours["keys"].keys() - recorded["keys"].keys())
    return found + [
        f"{path}: {name} is not in the recording"
        for name in unknown
        if not rules.has(known, f"{path}.{name}")
    ]
