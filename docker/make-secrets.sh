#!/bin/sh
# Makes the secrets of compose.yaml in the folder given, or in `secrets` beside this file: one control token, and one
# certificate for the agents, which the backend trusts. What is there already is left as it is. The names in the
# certificate are those of AGENTS.
set -eu
umask 077

folder=${1:-$(dirname "$0")/secrets}
names=${AGENTS:-agent-one agent-two}

# Within a folder that nobody else can enter: a container's user of another uid has to be able to read the backend's files,
# while those of the agents are for root alone, whom their runs are not.
mkdir -p "$folder/agent" "$folder/backend"
chmod 700 "$folder"
cd "$folder"

if [ ! -e agent/outrigger-token ]; then
  openssl rand -hex 32 >agent/outrigger-token
fi
if [ ! -e agent/tls.key ]; then
  alternatives=IP:127.0.0.1,DNS:localhost
  for name in $names; do alternatives=$alternatives,DNS:$name; done
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 825 \
    -subj "/CN=outrigger agents" -addext "subjectAltName=$alternatives" \
    -keyout agent/tls.key -out agent/tls.crt 2>/dev/null
fi
cp agent/outrigger-token backend/outrigger-token
cp agent/tls.crt backend/agents.crt
chmod 644 backend/outrigger-token backend/agents.crt

[ -e backend/credentials.json ] && exit 0
echo "$folder/backend/credentials.json is yours to write, with mode 644: the credentials of the pool, e.g."
echo '[{ "id": "team-a", "kind": "oauth", "secret": "…" }]'
