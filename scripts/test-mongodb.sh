#!/usr/bin/env bash
# The registry on MongoDB: the store's tests, and then the end-to-end tests with the gateway on it.
# On the server that MONGODB_URL names, else on one that is started here (Java; see mongo-java-server.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
vitest=node_modules/.bin/vitest

# The tests of the store start a server of their own where they are told of none: they kill it, too.
"$vitest" run --project rooms webserver/test/store/mongo

server=
if [ -z "${MONGODB_URL:-}" ]; then
  said=$(mktemp)
  scripts/mongo-java-server.sh 0 >"$said" &
  server=$!
  trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -f "$said"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  for _ in $(seq 300); do
    MONGODB_URL=$(grep -o -m 1 'mongodb://[^ ]*' "$said" || true)
    if [ -n "$MONGODB_URL" ]; then break; fi
    kill -0 "$server" 2>/dev/null || exit 69
    sleep 0.2
  done
  [ -n "$MONGODB_URL" ] || { echo 'mongo-java-server did not say that it is ready within a minute' >&2; exit 1; }
fi

# A database of its own, so that a run finds nothing of the one before.
base=${MONGODB_URL%%\?*}
query=${MONGODB_URL#"$base"}
scheme=${base%%://*}
hosts=${base#*://}
export POSTERN_MONGODB_URL="$scheme://${hosts%%/*}/postern_e2e_$$$query"
echo 'The end-to-end tests, with the registry in MongoDB.'
"$vitest" run --project e2e
