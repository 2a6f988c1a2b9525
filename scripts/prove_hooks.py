"""Plants a defect of each kind in a scratch copy of the repository and shows its hook failing.

Usage: .venv/bin/python scripts/prove_hooks.py [HOOK...]; ends with 1 where a hook lets one pass.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
# Put together here, so that this file is not taken for what it plants.
KEY_HEAD = "-----BEGIN RSA " + "PRIVATE KEY-----"
AWS = "AKIA" + "IOSFODNN7" + "EXAMPLE"
MERGE = "<" * 7 + " HEAD\n1\n" + "=" * 7 + "\n2\n" + ">" * 7 + " other\n"
WORKFLOW = """name: bad
on: pull_request_target
permissions: write-all
jobs:
  bad:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: echo "${{ github.event.pull_request.title }}"
"""

# Hook, file, and what is appended to it.
DEFECTS = {
    "black": ("src/fractaltrader/home.py", "x = {  'a':1 }\n"),
    "ruff": ("src/fractaltrader/home.py", "import json\n"),
    "mypy": ("src/fractaltrader/home.py", 'HOURS: int = "24"\n'),
    "import-contracts": (
        "src/fractaltrader/market/clock.py",
        "from fractaltrader.live import ledger\n",
    ),
    "bandit": ("src/fractaltrader/home.py", 'os.system("rm -r " + input())\n'),
    "secrets": ("docs/operator.md", f"aws_key = {AWS}\n"),
    "private-key": ("deploy/server.pem", f"{KEY_HEAD}\nabc\n"),
    "spelling": ("docs/operator.md", "This sentense has teh mistake.\n"),  # codespell:ignore
    "yaml": (".github/workflows/ci.yml", "name: twice\n"),
    "workflows": (".github/workflows/bad.yml", WORKFLOW),
    "dockerfile": ("Dockerfile", "RUN sudo apt-get install -y curl\n"),
    "large-files": ("docs/large.txt", "0123456789abcde\n" * 40_000),
    "merge-marks": ("docs/operator.md", MERGE),
    "toml": ("pyproject.toml", "[tool.black\n"),
    "end-of-file": ("docs/operator.md", "\n\n\n"),
    "trailing-space": ("docs/operator.md", "a line   \nanother\n"),
    "fast-tests": (
        "tests/test_planted.py",
        'def test_planted():\n    """Fails."""\n    assert 1 > 2\n',
    ),
}


def main() -> None:
    """Copy, check that each hook passes, plant, check that it fails, and put the file back."""
    # The copy uses this environment; an old one would be installed anew, from the copy.
    if subprocess.run(["make", "--question", "install"], cwd=ROOT, check=False).returncode:
        sys.exit("the environment is not up to date: run `make install` first")
    with TemporaryDirectory() as folder:
        scratch = Path(folder) / "repository"
        copy(scratch)
        held = [name for name in sys.argv[1:] or DEFECTS if catches(name, scratch)]
    wanted = sys.argv[1:] or list(DEFECTS)
    print(f"{len(held)} of {len(wanted)} hooks pass without and fail with a defect of their kind")
    sys.exit(held != wanted)


def copy(scratch: Path) -> None:
    """The files that git knows or would take, as a repository of its own, and the environment."""
    names = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, scratch / name)
    (scratch / ".venv").symlink_to(ROOT / ".venv")
    git(scratch, "init", "--quiet")
    git(scratch, "add", "--all", "--", ".", ":!.venv")


def catches(name: str, scratch: Path) -> bool:
    """Whether the hook passes without the defect and fails with it."""
    file, defect = DEFECTS[name]
    path = scratch / file
    before = (path.read_bytes(), path.stat()) if path.exists() else None
    passed = run(name, scratch, before is not None and file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((before[0] if before else b"") + defect.encode())
    git(scratch, "add", "--", file)
    failed = not run(name, scratch, file)
    if before is None:
        git(scratch, "rm", "--quiet", "--force", "--", file)
    else:
        content, times = before
        path.write_bytes(content)
        # A newer pyproject.toml would make the next hook install this environment anew, from here.
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        git(scratch, "add", "--", file)
    verdict = "caught" if passed and failed else "MISSED" if passed else "FAILS WITHOUT A DEFECT"
    print(f"{name:17} {verdict:7} {file}", flush=True)
    return passed and failed


def run(name: str, scratch: Path, file: str | bool) -> bool:
    """Whether the hook passes on one file, or on all where there is none yet."""
    files = ["--files", str(file)] if file else ["--all-files"]
    done = subprocess.run(
        [ROOT / ".venv/bin/pre-commit", "run", name, *files],
        cwd=scratch,
        env=os.environ | {"PYTHONPATH": str(scratch / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and not file:
        print(done.stdout[-2_000:])
    return done.returncode == 0


def git(folder: Path, *arguments: str) -> str:
    """Output of a git command in `folder`."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    main()
