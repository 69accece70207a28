#!/bin/sh
# The main job on a fresh machine: set up everything, run the shipped cases (or the paths given), say where the report is.
set -eu
here=$(dirname "$0")
# shellcheck source=scripts/environment.sh disable=SC2034
extras=all
. "$here/environment.sh"
if [ $# -eq 0 ]; then
    set -- cases
    # The cases of old frameworks run where their environments can be built; elsewhere they are reported as not runnable.
    "$venv/bin/harness" env create --all >&2 || echo "some environments could not be built; their cases will say so" >&2
fi
exec "$venv/bin/harness" run "$@"
