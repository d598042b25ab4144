"""Adds the C extension to what pyproject.toml says."""

from setuptools import setup

setup(
    cffi_modules=["edge_runtime/native/build.py:builder"],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
