#!/usr/bin/env bash
# Proves that the wheel alone, without the repository and without a compiler, runs the demo; that it
# is at most 5 MB; and that the sdist builds the same wheel.
# Usage: scripts/prove_wheel.sh [PYTHON...], each python3 the wheel shall run on.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
most=$((5 * 1024 * 1024))

say() { printf '%s  %s\n' "$(date -u +%T)" "$*"; }
fail() { say "FAILED: $*"; exit 1; }

cd "$repository"
.venv/bin/hatchling build -t wheel -d "$work/wheel" >/dev/null 2>&1
.venv/bin/hatchling build -t sdist -d "$work/sdist" >/dev/null 2>&1
mkdir "$work/unpacked"
tar -xzf "$work"/sdist/*.tar.gz -C "$work/unpacked" --strip-components 1
(cd "$work/unpacked" && "$repository/.venv/bin/hatchling" build -t wheel -d "$work/again" >/dev/null 2>&1)
cmp "$work"/wheel/*.whl "$work"/again/*.whl || fail "the sdist builds another wheel"
wheel=$(echo "$work"/wheel/*.whl)
bytes=$(stat -c %s "$wheel")
[ "$bytes" -le $most ] || fail "the wheel has $bytes bytes, at most $most are allowed"
say "the sdist builds the same wheel of $bytes bytes"

cd "$work"
for python in "${@:-python3}"; do
  version=$("$python" -c 'import platform; print(platform.python_version())')
  "$python" -m venv "env-$version"
  pip=("env-$version/bin/pip" --quiet --disable-pip-version-check install)
  # Wheels only, so no compiler is used.
  "${pip[@]}" --only-binary :all: --require-hashes -r "$repository/requirements-bot.lock"
  "${pip[@]}" --no-deps "$wheel"
  env -i PATH=/usr/bin:/bin HOME="$work/home" FRACTAL_HOME="$work/home-$version" \
    "env-$version/bin/fractal" demo --days 3 --seconds 0 >"demo-$version.log" 2>&1 ||
    { tail -5 "demo-$version.log"; fail "the demo on Python $version"; }
  ! grep -q DIFFERENT "demo-$version.log" || fail "the audit of the demo on Python $version"
  say "the wheel alone runs the demo on Python $version"
done
