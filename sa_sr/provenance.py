"""Which code and which input made an artefact.

Snakemake sees neither: an edit of an imported module changes no command line. So every rule hands over `code(...)`, one
`module@hash` for each module that the stage can reach, as a param; the job reruns exactly when one of them changed, and
Snakemake's reason names it. Nothing is imported to find out: only the import statements are read.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = "sa_sr"
TRANSPARENT = {
    "sa_sr",
    *(f"sa_sr.{name}" for name in ("config", "errors", "progress", "provenance", "training.health")),
}
"""Not counted where imported: settings reach a stage as params, whose text changes with them; the others can't change a
result. Given by name they count: the health rules make a table."""
ROOT = Path(__file__).parent.parent


def code(*modules: str) -> list[str]:
    """Fingerprints ("module@hash", sorted) of `modules` and of all that they import from this package.

    modules: dotted names; those of other packages (a plug-in of one's own) count by their version elsewhere and are
    skipped. Comments, blank lines and docstrings do not change a hash. Modules that are found by name at run time have
    to be given as well.
    """
    return [f"{name}@{_hash(name)}" for name in sorted(_closure(modules))]


def digest(path: str | Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _closure(modules: tuple[str, ...]) -> set[str]:
    found, todo = set(), list(modules)
    while todo:
        name = todo.pop()
        if name not in found and (name in modules or not _transparent(name)) and _file(name) is not None:
            found.add(name)
            todo += _imports(name)
            todo += [name.rpartition(".")[0]]  # importing a.b.c runs a and a.b first
    return found


def _transparent(name: str) -> bool:
    return name in TRANSPARENT or name.startswith("sa_sr.config.")


@cache
def _file(name: str) -> Path | None:
    if name.partition(".")[0] != PACKAGE:
        return None
    path = ROOT.joinpath(*name.split("."))
    return next((p for p in (path / "__init__.py", path.with_suffix(".py")) if p.is_file()), None)


@cache
def _tree(name: str) -> ast.Module:
    file = _file(name)
    assert file is not None
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


@cache
def _imports(name: str) -> list[str]:
    """Modules of this package which `name` imports anywhere, inside functions too."""
    file = _file(name)
    assert file is not None
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    found = []
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base += node.module.split(".") if node.module else []
            found += [".".join(base), *(".".join([*base, alias.name]) for alias in node.names)]
    return found


@cache
def _hash(name: str) -> str:
    tree = ast.parse(ast.unparse(_tree(name)))  # a copy of its own: comments are gone
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_text(statement)] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12]


def _is_text(statement: ast.stmt) -> bool:
    """A docstring, of a module, class, function or field."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
