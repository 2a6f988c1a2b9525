#!/usr/bin/env bash
# Proves the Dockerfile where no engine and no image registry is reached: buildah builds it on a
# root file system made by debootstrap, then both images run as non-root on a read-only root.
# Needs root, buildah, debootstrap and unshare. Usage: scripts/prove_docker.sh [WORK_FOLDER]
# STEPS="prove_bot prove_tests" goes on with images that are built in WORK_FOLDER.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=${1:-$(mktemp -d)}
suite=${SUITE:-bookworm}
tests=${TESTS:-tests/test_state_manager.py tests/risk tests/market}
user=10001
mkdir -p "$work"

store() { buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"; }
say() { printf '%s  %s\n' "$(date -u +%T)" "$*"; }

base_image() { # A stand-in for python:3.11-slim: a Debian with python3 and venv.
  if store inspect --type image localhost/base >/dev/null 2>&1; then return; fi
  if ! [ -d "$work/rootfs/usr" ]; then
    say "debootstrap $suite"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
      "$suite" "$work/rootfs" >"$work/debootstrap.log"
  fi
  local made
  made=$(store from scratch)
  store add --quiet "$made" "$work/rootfs" / >/dev/null
  store commit --quiet "$made" localhost/base >/dev/null
  store rm "$made" >/dev/null
}

build() { # build TARGET: the image `localhost/fractaltrader-TARGET`
  say "build --target $1"
  local volumes=()
  if [ -n "${PIP_CERT:-}" ]; then
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$work/pip.conf"
    volumes=(--volume "$PIP_CERT:/etc/ssl/certs/ca-certificates.crt:ro"
      --volume "$work/pip.conf:/etc/pip.conf:ro")
  fi
  store bud --isolation chroot --network host --format docker --layers --pull-never \
    --build-arg BASE=localhost/base --target "$1" --tag "localhost/fractaltrader-$1" \
    "${volumes[@]}" . >"$work/build-$1.log" 2>&1 ||
    { tail -20 "$work/build-$1.log"; return 1; }
}

build_bot() { build bot; }
build_dev() { build dev; }

# inside ROOT STATE COMMAND...: as the image's user, without network, on a read-only root with a
# writable /tmp and, where STATE is a folder, /var/lib/fractal.
inside() {
  # shellcheck disable=SC2016 # it is the inner shell that expands
  unshare --mount --net --fork -- bash -c '
    set -e
    root=$1 state=$2 user=$3
    shift 3
    ip link set lo up
    mount --bind "$root" "$root"
    mount -o remount,bind,ro "$root"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    if [ -n "$state" ]; then mount --bind "$state" "$root/var/lib/fractal"; fi
    cd "$root"
    exec chroot --userspec="$user:$user" "$root" /usr/bin/env -i "$@"
  ' inside "$1" "$2" "$user" "${@:3}"
}

environment() { # of an image, one NAME=VALUE a line
  store inspect --type image --format '{{range .Docker.Config.Env}}{{println .}}{{end}}' "$1" |
    sed '/^$/d'
}

prove_bot() {
  local container root state=$work/state variables
  container=$(store from --pull-never localhost/fractaltrader-bot)
  root=$(store mount "$container")
  mapfile -t variables < <(environment localhost/fractaltrader-bot)
  rm -rf "$state"
  install --directory --owner=$user --group=$user --mode=0700 "$state"

  say "the user is $(store inspect --type image --format '{{.Docker.Config.User}}' localhost/fractaltrader-bot)"
  inside "$root" "" "${variables[@]}" sh -c 'id -u; ! touch /opt/fractal/x 2>/dev/null' |
    grep -qx $user || { say "FAILED: not user $user"; return 1; }
  say "read-only root: nothing can be written there"
  if inside "$root" "" "${variables[@]}" fractal demo >"$work/no-volume.log" 2>&1; then
    say "FAILED: the demo wrote without a volume"; return 1
  fi
  say "the demo, on its volume"
  inside "$root" "$state" "${variables[@]}" fractal demo >"$work/demo.log" 2>&1 ||
    { tail -5 "$work/demo.log"; return 1; }
  prove_health "$root" "$state" "${variables[@]}"
  store rm "$container" >/dev/null
}

prove_health() { # The check of the image: green while the bot beats, red once it hangs.
  local root=$1 state=$2 check
  shift 2
  check=$(store inspect --type image --format '{{.Docker.Config.Healthcheck.Test}}' \
    localhost/fractaltrader-bot)
  say "health check: $check"
  [ "$check" = "[CMD fractal status --health]" ]
  inside "$root" "$state" "$@" python3 - <"scripts/hung_bot.py"
}

prove_tests() {
  local container root variables
  container=$(store from --pull-never localhost/fractaltrader-dev)
  root=$(store mount "$container")
  mapfile -t variables < <(environment localhost/fractaltrader-dev)
  say "the tests $tests"
  # shellcheck disable=SC2086 # several paths
  inside "$root" "" "${variables[@]}" sh -c "cd /app && pytest $tests" 2>&1 | tail -3
  store rm "$container" >/dev/null
}

for step in ${STEPS:-base_image build_bot build_dev prove_bot prove_tests}; do "$step"; done
say "proved; images: $(store images --format '{{.Name}} {{.Size}},' | grep fractal | tr '\n' ' ')"
