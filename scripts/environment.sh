# Sourced by the other scripts: makes .venv and installs this project with every framework, at the versions of constraints.txt.
# Does nothing where the environment already matches. `extras` names what to install.
set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
venv=${VENV:-.venv}


"$python" - <<'CHECK' || exit 4
import sys
if sys.version_info < (3, 11):
    sys.exit("Python 3.11 or later is needed, this is %s; choose another one with PYTHON=python3.12 $0" % sys.version.split()[0])
CHECK

stamp="$venv/.installed-$(cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)-$extras"
if [ ! -e "$stamp" ]; then
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    echo "installing into $venv …" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extras]" >&2
    rm -f "$venv"/.installed-*
    : > "$stamp"
fi
