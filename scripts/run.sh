#!/bin/sh
# The main job on a fresh machine: set up everything, run the shipped cases (or the paths given), say where the report is.
set -eu
here=$(dirname "$0")
# shellcheck source=scripts/environment.sh
. "$here/environment.sh" all,fast
[ $# -gt 0 ] || set -- cases
exec "$venv/bin/harness" run "$@"
