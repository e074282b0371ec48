#!/usr/bin/env bash
# Installs the peers that the benchmarks compare with into bench/peers/venv. The product and its tests need none of this.
set -euo pipefail
cd "$(dirname "$0")"
[ -d venv ] || python3 -m venv venv
venv/bin/pip install --quiet --upgrade pip wheel 'setuptools<81'
venv/bin/pip install --quiet -r requirements.txt
venv/bin/python - <<'PY'
import importlib.metadata as m
for line in open('requirements.txt'):
    name = line.split('=')[0].split('<')[0].strip()
    if name and not name.startswith('#'):
        print(name, m.version(name))
PY
