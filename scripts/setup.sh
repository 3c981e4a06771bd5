#!/usr/bin/env bash
# Installs what is missing for building (`setup.sh build`), for the demonstration (`run`) or for the tests (`test`, and
# `clients` for the Python libraries, which can be fetched while something builds).
# Asks nothing: as root through apt-get, otherwise through `sudo -n`; with neither it names what is missing, and goes on
# when that is optional. A second run finds everything and does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
purpose="${1:-build}"

needed=(liburing-dev libssl-dev libxxhash-dev libre2-dev libsqlite3-dev make gcc pkg-config python3)
[ "$(uname -m)" = x86_64 ] && needed+=(libipsec-mb-dev)
optional=()
[ "$purpose" = test ] && optional=(python3-venv wrk nginx-light curl hey libfuse3-dev fuse3 e2fsprogs \
    json-schema-test-suite)

# nginx comes under several package names; gcc and python3 may come from elsewhere than Debian's packages.
is_there() {
    case "$1" in
        nginx-light) command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] ;;
        make|gcc|python3|wrk|curl|hey) command -v "$1" >/dev/null ;;
        *) dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed' ;;
    esac
}
missing_of() {
    local package
    for package in "$@"; do is_there "$package" || echo "$package"; done
}

if ! command -v swift >/dev/null; then
    echo "sluice: the Swift toolchain (6.2 or later) is not on PATH: https://www.swift.org/install" >&2
    exit 1
fi
if ! command -v dpkg-query >/dev/null; then
    echo "sluice: not a Debian system; these libraries are needed, by Debian's names: ${needed[*]}" >&2
    exit 0
fi

as_root=()
can_install=yes
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root=(sudo -n); else can_install=no; fi
fi
install() {
    [ "$#" -gt 0 ] || return 0
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null
}

mapfile -t missing < <(missing_of "${needed[@]}")
mapfile -t wanted < <(missing_of "${optional[@]}")
if [ "${#missing[@]}" -gt 0 ] || [ "${#wanted[@]}" -gt 0 ]; then
    if [ "$can_install" = no ]; then
        [ "${#wanted[@]}" -eq 0 ] || echo "sluice: not installed, what needs them is skipped: ${wanted[*]}"
        if [ "${#missing[@]}" -gt 0 ]; then
            echo "sluice: missing packages, and no right to install them: sudo apt-get install ${missing[*]}" >&2
            exit 1
        fi
    else
        echo "sluice: installing ${missing[*]} ${wanted[*]}"
        # Two runs at once: the second waits for the first one's package lock.
        exec 9>"${TMPDIR:-/tmp}/sluice-setup-$(id -u).lock"
        flock 9
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null || true
        install "${missing[@]}"
        for package in "${wanted[@]}"; do
            install "$package" 2>/dev/null || echo "sluice: $package cannot be installed; what needs it is skipped"
        done
        exec 9>&-
    fi
fi

# Prometheus and promtool, unpacked beside the tree and not installed: the package would start a server.
unpack_prometheus() {
    local tools=.build/tools
    command -v promtool >/dev/null && command -v prometheus >/dev/null && return
    [ -x "$tools/usr/bin/promtool" ] && return
    mkdir -p "$tools"
    if (cd "$tools" && apt-get download -q prometheus && dpkg -x prometheus_*.deb . && rm prometheus_*.deb) \
        >/dev/null 2>&1; then return; fi
    echo "sluice: prometheus cannot be fetched; what needs it is skipped"
}
[ "$purpose" != clients ] || unpack_prometheus

# The providers' own Python libraries, in an environment of the tree; each one that is unavailable is skipped by name.
pip_install() { .venv/bin/python -m pip install -q --disable-pip-version-check "$@" >/dev/null 2>&1; }
if [ "$purpose" = clients ]; then
    exec 9>.venv.lock
    flock 9
    if [ ! -x .venv/bin/python ] && ! python3 -m venv .venv 2>/dev/null; then
        rm -rf .venv
        echo "sluice: no Python environment can be made; the clients' libraries are skipped"
    fi
    if [ -x .venv/bin/python ] && ! cmp -s Tests/requirements.txt .venv/installed.txt; then
        complete=yes
        # All at once is the quick way; one by one finds which is to blame.
        if ! pip_install -r Tests/requirements.txt; then
            while read -r requirement; do
                if ! pip_install "$requirement"; then
                    echo "sluice: PyPI's $requirement cannot be installed; what needs it is skipped"
                    complete=no
                fi
            done < <(grep -v '^#' Tests/requirements.txt)
        fi
        [ "$complete" = no ] || cp Tests/requirements.txt .venv/installed.txt
    fi
    exec 9>&-
fi
