#!/usr/bin/env bash
# serve.sh PORT FOLDER: the gateway as the comparison wants it: one loop, GitHub's scheme, answers after the disk.
# The gateway takes this shell's place, so that its processor time is accounted to it alone.
set -euo pipefail
port="$1" folder="$(mktemp -d "$2/run.XXXXXX")"
admin="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
cat > "$folder/sluice.yaml" <<YAML
listen: 127.0.0.1:$port
admin: 127.0.0.1:$admin
data: $folder/data
loops: 1
dedup: { entries: 4194304 }
sources:
  - name: github
    provider: github
    secrets: ["bench-secret"]
YAML
exec "${SLUICE_BIN:-$(dirname "$0")/../.build/release/sluice}" serve --config "$folder/sluice.yaml"
