#!/bin/sh
# The tests on a fresh machine: set up everything, run the fast tests (or what the arguments say, as pytest takes them).
set -eu
here=$(dirname "$0")
# shellcheck source=scripts/environment.sh
. "$here/environment.sh" all,fast,test,browser,lint
[ $# -gt 0 ] || set -- -m "not slow"
exec "$venv/bin/python" -m pytest "$@"
