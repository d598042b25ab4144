#!/bin/sh
# Says in one line what the operating system still has to bring before `make demo` or `make test` can work.
python="$1"
missing=""
# A Python that was asked for by its version has packages of that name.
case "${python##*/}" in python3.*) package="${python##*/}" ;; *) package=python3 ;; esac
command -v "$python" >/dev/null 2>&1 || { echo "error: $python not found: sudo apt-get install $package" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "error: $("$python" --version) is too old, 3.10 or newer is needed: make PYTHON=python3.11 …" >&2; exit 1; }
command -v gcc >/dev/null 2>&1 || missing="$missing gcc"
"$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing $package-venv"
"$python" - >/dev/null 2>&1 <<'PY' || missing="$missing $package-dev"
import pathlib, sys, sysconfig
sys.exit(not (pathlib.Path(sysconfig.get_paths()["include"]) / "Python.h").exists())
PY
"$python" - >/dev/null 2>&1 <<'PY' || missing="$missing libegl1 libopengl0 libgl1-mesa-dri"
import ctypes
ctypes.CDLL("libEGL.so.1")
ctypes.CDLL("libOpenGL.so.0")
PY
[ -z "$missing" ] || { echo "error: system packages are missing: sudo apt-get install$missing" >&2; exit 1; }
