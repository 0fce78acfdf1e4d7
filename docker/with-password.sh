#!/bin/sh
# Runs a command with the content of a file as PGPASSWORD: not in the compose file, not on a command
# line, not in what `docker inspect` shows. libpq's own password file cannot be used: it refuses
# files that belong to another user, as mounted secrets do.
#
#     with-password.sh FILE COMMAND...
set -eu

PGPASSWORD=$(cat "$1")
export PGPASSWORD
shift
exec "$@"
