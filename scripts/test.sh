#!/bin/sh
# The tests on a fresh machine: set up everything, run the fast tests (or what the arguments say, as pytest takes them).
set -eu
here=$(dirname "$0")
# shellcheck source=scripts/environment.sh disable=SC2034
extras=all,test,browser,lint
. "$here/environment.sh"
[ $# -gt 0 ] || set -- -m "not slow and not exhaustive"
exec "$venv/bin/python" -m pytest "$@"
