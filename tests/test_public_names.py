"""The package's public names: each is there, typed and documented, and importing the package brings nothing heavy."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import edge_runtime

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "python.md"


def test_importing_the_package_brings_only_the_standard_library() -> None:
    code = "import sys; before = set(sys.modules); import edge_runtime; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    brought = {name.partition(".")[0] for name in done.stdout.split()}
    assert brought - set(sys.stdlib_module_names) == {"edge_runtime"}


def test_each_name_is_there_and_says_what_it_is() -> None:
    for name in edge_runtime.__all__:
        assert getattr(edge_runtime, name).__doc__, name
        assert name in dir(edge_runtime)
    assert not hasattr(edge_runtime, "nothing_of_this_name")


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(edge_runtime.__file__).read_text(encoding="utf-8"))
    (guarded,) = (node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    named = {alias.asname for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named == set(edge_runtime.__all__)


def test_the_page_names_all_of_them_and_no_others() -> None:
    page = PAGE.read_text(encoding="utf-8")
    table = page[: page.index("\n## ")]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(edge_runtime.__all__)


def test_the_examples_name_what_there_is() -> None:
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "edge_runtime":
                assert {alias.name for alias in node.names} <= set(edge_runtime.__all__)
