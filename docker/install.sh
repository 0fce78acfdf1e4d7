#!/bin/sh
# Installs drytorch-bus from the current folder into an environment of its own.
#
#     sh docker/install.sh PREFIX EXTRAS [REQUIREMENT...]
#
# EXTRAS are those of pyproject.toml, separated by commas. Versions are the tested ones of
# constraints.txt. What else pip should know (an index, a proxy) it takes from PIP_* variables.
set -eu

prefix=$1
extras=$2
shift 2

python3 -m venv "$prefix"
"$prefix/bin/python" -m pip install \
    --disable-pip-version-check --no-cache-dir --constraint constraints.txt ".[$extras]" "$@"
"$prefix/bin/drytorch" --version
"$prefix/bin/drytorch-broker" --version
