#!/bin/sh
# Runs mongo-java-server, which speaks MongoDB's protocol, on loopback: for tests, not for a deployment.
#
#   scripts/mongo-java-server.sh [PORT [H2_FILE [TLS_KEY TLS_CERTIFICATE]]]
#
# PORT 0 (the default) takes a free one. H2_FILE is made where it is missing (default: a temporary one, removed
# at the end). Prints one line with its URL when it is ready; stops on SIGTERM or SIGINT.
# The first run fetches its jars with Maven into .tools/mongo-java-server/lib (6 MB) and installs nothing else.
set -eu
cd "$(dirname "$0")/.."
lib=.tools/mongo-java-server/lib

if ! command -v java >/dev/null; then
  echo "mongo-java-server needs Java 17 or newer: install it (Debian, Ubuntu: apt-get install default-jre-headless), or name a MongoDB server in MONGODB_URL" >&2
  exit 69
fi
if [ ! -d "$lib" ]; then
  if ! command -v mvn >/dev/null; then
    echo "Fetching mongo-java-server needs Maven: install it (Debian, Ubuntu: apt-get install maven), or name a MongoDB server in MONGODB_URL" >&2
    exit 69
  fi
  echo "Fetching mongo-java-server into $lib (once)" >&2
  # Under another name until it is complete: two first runs at once do not disturb each other.
  draft=.tools/mongo-java-server/lib.new-$$
  mkdir -p "$draft"
  if ! mvn -q -B -f e2e/mongo/pom.xml dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory="$PWD/$draft" >&2; then
    rm -rf "$draft"
    echo "Maven could not fetch mongo-java-server; see above" >&2
    exit 69
  fi
  if [ -d "$lib" ] || ! mv "$draft" "$lib" 2>/dev/null; then rm -rf "$draft"; fi
fi

port=${1:-0}
if [ -n "${2:-}" ]; then
  file=$2
  shift 2
  exec java -Xmx256m -Dslf4j.internal.verbosity=ERROR -cp "$lib/*" e2e/mongo/MongoJavaServer.java "$port" "$file" "$@"
fi
folder=$(mktemp -d)
java -Xmx256m -Dslf4j.internal.verbosity=ERROR -cp "$lib/*" e2e/mongo/MongoJavaServer.java "$port" "$folder/h2" &
server=$!
trap 'kill "$server" 2>/dev/null || true' TERM INT
while kill -0 "$server" 2>/dev/null; do wait "$server" || true; done
rm -rf "$folder"
