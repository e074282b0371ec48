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
# PECOS asks for NumPy 1, the others for NumPy 2: it has an environment of its own. Only its sparse linear part is used, so without PyTorch and its like.
[ -d venv-pecos ] || python3 -m venv venv-pecos
venv-pecos/bin/pip install --quiet -r requirements-pecos.txt
venv-pecos/bin/pip install --quiet --no-deps libpecos==1.2.8
