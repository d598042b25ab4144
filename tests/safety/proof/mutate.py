"""Mutants of the safety kernel: every operator, constant, condition, result and statement of its C files changed in
every small way, all in one program that a number switches (`mutant_id`; 0: the kernel as it is).

Guarantees that what is not switched on does exactly what the kernel does. Refuses to know what would notice a mutant:
`battery.c` does. Trusts pycparser with the grammar of C, and the C files to be freestanding but for sqrt, floor, ceil.
"""

# ruff: noqa: N802, N815 (pycparser calls its visitors by the names of nodes)

from __future__ import annotations

import operator
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pycparser import c_ast, c_generator, c_parser

SYSTEM_HEADERS = {
    "stdint.h": """typedef signed char int8_t; typedef unsigned char uint8_t;
typedef int int32_t; typedef unsigned int uint32_t;
typedef long int64_t; typedef unsigned long uint64_t;
#define INT64_MAX 9223372036854775807L
#define INT64_MIN (-INT64_MAX - 1L)
#define UINT32_MAX 4294967295u
""",
    "stddef.h": "typedef unsigned long size_t;\n#define NULL ((void *)0)\n",
    "math.h": "double sqrt(double); double floor(double); double ceil(double);\n#define INFINITY __builtin_inf()\n",
}
BINARY = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
    "+": ("-",),
    "-": ("+",),
    "*": ("/",),
    "/": ("*",),
    "%": ("*",),
    "&": ("|",),
    "|": ("&",),
    "^": ("&",),
    "<<": (">>",),
    ">>": ("<<",),
    "&&": ("||",),
    "||": ("&&",),
}
ASSIGNMENT = {"+=": ("-=",), "-=": ("+=",), "*=": ("/=",), "/=": ("*=",), "|=": ("&=",), "&=": ("|=",), "^=": ("&=",)}
UNARY = {"-": "", "!": "", "~": "", "p++": "p--", "p--": "p++", "++": "--", "--": "++"}
COMPARISONS = {"<", "<=", ">", ">=", "==", "!=", "&&", "||"}
FOLDS = {
    "<<": operator.lshift,
    ">>": operator.rshift,
    "|": operator.or_,
    "&": operator.and_,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
SCALARS = {"int", "double", "uint32_t", "uint64_t", "int64_t", "int32_t", "geometry_error"}


@dataclass(frozen=True)
class Mutant:
    """One change. line and column are those of the preprocessed line that starts at `line` of the file."""

    id: int
    file: str
    line: int
    column: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.before}  ->  {self.after}"


class Schemata(c_generator.CGenerator):  # type: ignore[misc]
    """Writes a C file back with all of its mutants in it. Files that share a header share its mutants' numbers."""

    def __init__(self, only: Path, register: dict[tuple[object, ...], Mutant]) -> None:
        super().__init__()
        self.plain = c_generator.CGenerator()
        self.only = only
        self.register = register
        self.tables: set[str] = set()
        self.enumerators: dict[str, int] = {}
        self.returns_scalar = False

    def choose(self, node: c_ast.Node, original: str, alternatives: Sequence[str], *, statement: bool = False) -> str:
        """original, or the alternative that is switched on."""
        for after in alternatives:
            number = self.number(node, self.plain.visit(node), "nothing" if statement else after)
            if number:
                original = f"(mutant_id == {number} ? {after} : {'(void)' if statement else ''}({original}))"
        return original

    def number(self, node: c_ast.Node, before: str, after: str) -> int:
        """0: not of the kernel."""
        where = node.coord
        if where is None or self.only not in Path(where.file).resolve().parents:
            return 0
        key = (where.file, where.line, where.column, type(node).__name__, before, after)
        if key not in self.register:
            file = Path(where.file).name
            self.register[key] = Mutant(len(self.register) + 1, file, where.line, where.column or 0, before, after)
        return self.register[key].id

    def raw(self, node: c_ast.Node) -> str:
        return f"({self.plain.visit(node)})"

    # ---- expressions ----

    def visit_BinaryOp(self, n: c_ast.BinaryOp) -> str:
        left, right, value = self.fold(n.left), self.fold(n.right), self.fold(n)
        others = [
            f"({self.raw(n.left)} {op} {self.raw(n.right)})"
            for op in BINARY[n.op]
            if value is None or left is None or right is None or op not in FOLDS or FOLDS[op](left, right) != value
        ]
        return self.choose(n, super().visit_BinaryOp(n), others)

    def fold(self, n: c_ast.Node) -> int | None:
        """Value of a constant whole number; what leaves it the same is no mutant."""
        if isinstance(n, c_ast.Constant) and "int" in n.type:
            return int(n.value.rstrip("uUlL"), 0)
        if isinstance(n, c_ast.ID):
            return self.enumerators.get(n.name)
        if isinstance(n, c_ast.Cast):
            return self.fold(n.expr)
        if isinstance(n, c_ast.BinaryOp) and n.op in FOLDS:
            left, right = self.fold(n.left), self.fold(n.right)
            return None if left is None or right is None else int(FOLDS[n.op](left, right))
        return None

    def visit_UnaryOp(self, n: c_ast.UnaryOp) -> str:
        if n.op == "sizeof":
            return str(self.plain.visit(n))
        if n.op == "-" and isinstance(n.expr, c_ast.Constant):
            return self.choose(n, self.plain.visit(n), [self.raw(n.expr), *self.neighbours(n.expr, "-")])
        original = super().visit_UnaryOp(n)
        if n.op not in UNARY:
            return original
        other = UNARY[n.op]
        operand = self.raw(n.expr)
        return self.choose(n, original, [f"({operand}{other[1:]})" if other[:1] == "p" else f"({other}{operand})"])

    def visit_Constant(self, n: c_ast.Constant) -> str:
        return self.choose(n, n.value, self.neighbours(n, ""))

    def neighbours(self, n: c_ast.Constant, sign: str) -> list[str]:
        """A constant one more and one less, where that is another number; nothing below a zero of an unsigned type."""
        if n.type == "double" and float(n.value) + 1.0 == float(n.value):
            return []
        below = [] if re.fullmatch(r"0+[uU]\w*", n.value) else [f"({sign}{n.value} - 1)"]
        return [f"({sign}{n.value} + 1)", *below]

    def visit_Assignment(self, n: c_ast.Assignment) -> str:
        left, right = self.plain.visit(n.lvalue), self.raw(n.rvalue)
        others = [f"({left} {op} {right})" for op in ASSIGNMENT.get(n.op, ())]
        return self.choose(n, super().visit_Assignment(n), others)

    def visit_TernaryOp(self, n: c_ast.TernaryOp) -> str:
        parts = [self.condition(n.cond), self._visit_expr(n.iftrue), self._visit_expr(n.iffalse)]
        return f"({parts[0]}) ? ({parts[1]}) : ({parts[2]})"

    def condition(self, n: c_ast.Node) -> str:
        """Negated too, where no operator in it would have been."""
        original = self.visit(n)
        if (isinstance(n, c_ast.BinaryOp) and n.op in COMPARISONS) or isinstance(n, c_ast.UnaryOp):
            return original
        return self.choose(n, original, [f"(!{self.raw(n)})"])

    def visit_ID(self, n: c_ast.ID) -> str:
        return f"(*{n.name}_now())" if n.name in self.tables else n.name

    # ---- statements ----

    def visit_If(self, n: c_ast.If) -> str:
        whole = f"if ({self.condition(n.cond)})\n{self._generate_stmt(n.iftrue, add_indent=True)}"
        if n.iffalse:
            whole += f"{self._make_indent()}else\n{self._generate_stmt(n.iffalse, add_indent=True)}"
        return whole

    def visit_Return(self, n: c_ast.Return) -> str:
        if n.expr is None or not self.returns_scalar or isinstance(n.expr, c_ast.ID):
            return str(super().visit_Return(n))
        original = self.plain.visit(n.expr)
        if re.fullmatch(r"-?[01](\.0)?", original):
            # Truth or one of a few answers: 2 would be the same as 1 to whom it is told.
            return f"return {self.choose(n, original, ['0' if float(original) else '1'])};"
        value = self.fold(n.expr)
        return f"return {self.choose(n, self.visit(n.expr), [other for other in ('0', '1') if str(value) != other])};"

    def visit_Break(self, n: c_ast.Break) -> str:
        return self.unless(n, "break;")

    def visit_Continue(self, n: c_ast.Continue) -> str:
        return self.unless(n, "continue;")

    def unless(self, node: c_ast.Node, text: str) -> str:
        number = self.number(node, text, "nothing")
        return f"if (mutant_id != {number}) {text}" if number else text

    def _generate_stmt(self, n: c_ast.Node, add_indent: bool = False) -> str:
        if not isinstance(n, (c_ast.Assignment, c_ast.FuncCall, c_ast.UnaryOp)):
            return str(super()._generate_stmt(n, add_indent))
        return f"  {self.choose(n, self.visit(n), ['(void)0'], statement=True)};\n"

    # ---- what must stay constant ----

    def _generate_decl(self, n: c_ast.Decl) -> str:
        return str(self.plain._generate_decl(n))

    def visit_Typename(self, n: c_ast.Typename) -> str:
        return str(self.plain.visit(n))

    visit_Typedef = visit_StaticAssert = visit_Typename

    def visit_Case(self, n: c_ast.Case) -> str:
        head = f"case {self.plain.visit(n.expr)}:\n"
        return head + "".join(self._generate_stmt(statement, add_indent=True) for statement in n.stmts or ())

    def visit_NamedInitializer(self, n: c_ast.NamedInitializer) -> str:
        names = "".join(
            f".{name.name}" if isinstance(name, c_ast.ID) else f"[{self.plain.visit(name)}]" for name in n.name
        )
        return f"{names} = {self._visit_expr(n.expr)}"

    def visit_FuncDef(self, n: c_ast.FuncDef) -> str:
        result = n.decl.type.type
        self.returns_scalar = isinstance(result, c_ast.TypeDecl) and bool(set(result.type.names) & SCALARS)
        return str(super().visit_FuncDef(n))

    def visit_FileAST(self, n: c_ast.FileAST) -> str:
        self.enumerators = Enumerators.of(n)
        return "extern int mutant_id;\n" + "".join(self.external(item) for item in n.ext)

    def external(self, item: c_ast.Node) -> str:
        if isinstance(item, c_ast.FuncDef):
            return self.visit(item)
        is_table = isinstance(item, c_ast.Decl) and item.init is not None
        return self.table(item) if is_table else f"{self.plain.visit(item)};\n"

    def table(self, n: c_ast.Decl) -> str:
        """A constant table: once more for each of its mutants, behind a function that picks one."""
        constants = Constants()
        constants.visit(n.init)
        declaration, copies, cases = self.plain._generate_decl(n), "", ""
        for constant in constants.found:
            value = constant.value
            for after in self.neighbours(constant, ""):
                number = self.number(constant, f"{value} in {n.name}", after)
                constant.value = after
                copy = re.sub(rf"\b{n.name}\b", f"{n.name}_{number}", declaration, count=1)
                copies += f"{copy} = {{{self.plain.visit(n.init)}}};\n"
                cases += f"  case {number}: return &{n.name}_{number};\n"
                constant.value = value
        self.tables.add(n.name)
        pick = f"static const __typeof__({n.name}) *{n.name}_now(void)"
        body = f"{{\n  switch (mutant_id) {{\n{cases}  default: return &{n.name};\n  }}\n}}\n"
        return f"{self.plain.visit(n)};\n{copies}{pick} {body}"


class Enumerators(c_ast.NodeVisitor):  # type: ignore[misc]
    """Values of the names of all enums; those that have none written count on from the one before."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}

    def visit_EnumeratorList(self, node: c_ast.EnumeratorList) -> None:
        value = -1
        for one in node.enumerators:
            value = value + 1 if one.value is None else int(one.value.value, 0)
            self.values[one.name] = value

    @classmethod
    def of(cls, node: c_ast.Node) -> dict[str, int]:
        visitor = cls()
        visitor.visit(node)
        return visitor.values


class Constants(c_ast.NodeVisitor):  # type: ignore[misc]
    """All constants below a node."""

    def __init__(self) -> None:
        self.found: list[c_ast.Constant] = []

    def visit_Constant(self, node: c_ast.Constant) -> None:
        self.found.append(node)


def preprocess(source: Path, folder: Path, include: Path) -> str:
    """The file with its headers, the system's replaced by what the kernel uses of them."""
    for name, text in SYSTEM_HEADERS.items():
        (folder / name).write_text(f"#pragma once\n{text}", encoding="utf-8")
    command = ["gcc", "-E", "-nostdinc", f"-I{folder}", f"-I{include}", str(source)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.sub(r"^#pragma.*$", "", text, flags=re.MULTILINE)


def mutate(sources: Sequence[Path], kernel: Path, folder: Path) -> tuple[list[Mutant], list[Path]]:
    """The mutants of the files in `kernel`, and for each source the C file in `folder` that has them."""
    register: dict[tuple[object, ...], Mutant] = {}
    written = []
    with tempfile.TemporaryDirectory() as headers:
        for source in sources:
            text = preprocess(source, Path(headers), kernel)
            tree = c_parser.CParser().parse(text, str(source))
            written.append(folder / f"mutants_{source.name}")
            written[-1].write_text(Schemata(kernel, register).visit(tree), encoding="utf-8")
    return list(register.values()), written
