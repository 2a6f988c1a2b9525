"""What the files around the code promise: CI, containers and locks."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
TRADERS = {"run", "guard", "demo"}


def started_by(*profiles: str) -> dict[str, dict[str, Any]]:
    """Services that `docker compose --profile ... up` starts: those of no profile too."""
    return {
        name: service
        for name, service in SERVICES.items()
        if not service.get("profiles") or set(service["profiles"]) & set(profiles)
    }


def test_the_test_profile_cannot_trade() -> None:
    """It starts the tests alone, without network, volume, key or password; `up` starts nothing."""
    assert started_by() == {}
    (service,) = started_by("test").values()
    assert service["command"][0] == "pytest"
    assert service["network_mode"] == "none"
    assert not {"volumes", "secrets", "env_file", "environment", "depends_on"} & service.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_hardened(name: str) -> None:
    """Read-only root, no capability, no new privilege, and no privileged mode."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid", "ports"} & service.keys()


def test_bot_and_guard_keep_their_state_on_a_named_volume() -> None:
    """Both see the same one, at the home that the image names."""
    home = re.search(r"FRACTAL_HOME=(\S+)\n", (ROOT / "Dockerfile").read_text().split("AS bot")[1])
    assert home is not None
    for name in ("bot", "guard"):
        assert SERVICES[name]["volumes"] == [f"fractal-state:{home[1]}"]
    assert "fractal-state" in COMPOSE["volumes"]


def test_the_last_stage_of_the_image_is_the_bot_without_root() -> None:
    """What is built by default runs as a numbered user, with a health check, from the locks."""
    stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")
    last = stages[-1]
    assert last.startswith("base AS bot")
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert 'CMD ["fractal", "status", "--health"]' in last
    for stage in stages:
        for line in re.findall(r"pip install [^\\\n]*", stage):
            assert "--require-hashes" in line or "--no-deps" in line, line


def test_the_workflow_is_pinned_and_may_read_only() -> None:
    """Every action has a full commit, no job may write, and none keeps its credentials."""
    assert WORKFLOW["permissions"] == {}
    for job in WORKFLOW["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        for step in job["steps"]:
            action = step.get("uses", "")
            assert not action or re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
            if action.startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_ci_runs_what_make_check_runs() -> None:
    """`.ci/run` is `make check`, and each part of `make check` is run by a job of the workflow."""
    makefile = (ROOT / "Makefile").read_text()
    parts = re.search(r"^check: ([\w -]+) ##", makefile, re.MULTILINE)
    assert parts is not None
    runs = [step.get("run", "") for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    made = {word for run in runs if run.startswith("make ") for word in run.split()[1:]}
    assert set(parts[1].split()) <= made
    for target in made:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert (ROOT / ".ci/run").read_text().endswith("\nmake check\n")
    assert WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]


def test_the_bots_lock_is_part_of_the_whole_lock() -> None:
    """Same versions, same hashes; so what is tested is what is shipped."""
    whole, bot = (
        dict(re.findall(r"^([\w.-]+)==(.+(?:\n    .+)*)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-bot.lock")
    )
    assert {"aiohttp", "numpy", "pydantic"} <= bot.keys()
    assert not {"numba", "polars", "pytest"} & bot.keys()
    for name, pins in bot.items():
        assert pins.split()[0] == whole[name].split()[0], name
        assert set(re.findall(r"sha256:\w+", pins)) <= set(re.findall(r"sha256:\w+", whole[name]))
