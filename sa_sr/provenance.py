"""Which code and which libraries make an artefact.

Snakemake sees neither: an edit of an imported module changes no command line. So every rule hands over `code(...)` as a
param, one `module@hash` for each module that its command can reach, and the versions of the libraries that these
compute with. The job reruns exactly when one of them changed, and Snakemake's reason names it. Nothing is imported to
find out: only the import statements are read.
"""

import ast
import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

PACKAGE = "sa_sr"
TRANSPARENT = {
    "sa_sr",
    *(f"sa_sr.{name}" for name in ("config", "damage", "errors", "files", "gpus", "layout", "lock", "plugins")),
    *(f"sa_sr.{name}" for name in ("progress", "provenance", "rank", "data.fetch", "data.packages")),
    *(f"sa_sr.{name}" for name in ("training.stop", "training.warn")),
}
"""Neither counted nor followed: settings reach a stage as params, whose text changes with them; what is fetched has its
checksum; the others find, refuse, wait, report or bring to disk, and can't change a result."""
LIBRARIES = {
    "av": "av",
    "cv2": "opencv-python",
    "lightning_fabric": "lightning-fabric",
    "lpips": "lpips",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "pandas": "pandas",
    "PIL": "pillow",
    "scenedetect": "scenedetect",
    "scipy": "scipy",
    "torch": "torch",
}
"""Libraries that decode, compute, draw random numbers or pictures, by the name of their import; not those that store,
check and pass on."""
TEMPLATES = {".html", ".css", ".js"}
"""Files of a package that are code, though not Python."""
ROOT = Path(__file__).parent.parent
CLI = f"{PACKAGE}.cli"


def code(command: str, *plugins: str) -> list[str]:
    """What decides, beside settings and inputs, what a command of `sa_sr.cli` makes.

    command: the name of its function; plugins: dotted modules which it finds by name at run time. Returns the
    fingerprint ("module@hash") of the function and of each module that it reaches, then "library==version" for each of
    LIBRARIES that these import.
    """
    functions = _functions(command)
    reached = [module for f in functions for module in _imported(f, [PACKAGE])]
    own = hashlib.sha256("".join(_essence(*f.body, *_defaults(f)) for f in functions).encode()).hexdigest()[:12]
    return [f"{CLI}.{command}@{own}", *modules(*reached, *plugins)]


def modules(*roots: str) -> list[str]:
    """Fingerprints of modules and of all that they import from this package, then the versions of their libraries.

    roots: dotted names; those of other packages are skipped. Comments, blank lines and docstrings do not change a hash.
    """
    found = sorted(_closure(roots))
    libraries = {name.partition(".")[0] for module in found for name in _imports(module)} & LIBRARIES.keys()
    return [f"{name}@{_hash(name)}" for name in found] + [_version(LIBRARIES[name]) for name in sorted(libraries)]


def forget() -> None:
    """Read the modules again at the next question: a long-lived process else remembers them as they were."""
    for remembered in (_file, _tree, _imports, _hash, _version):
        remembered.cache_clear()


def digest(path: str | Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _closure(modules: tuple[str, ...]) -> set[str]:
    found, todo = set(), list(modules)
    while todo:
        name = todo.pop()
        if name not in found and not _transparent(name) and _file(name) is not None:
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
    """What `name` imports anywhere, inside functions too."""
    file = _file(name)
    assert file is not None
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    return _imported(_tree(name), package)


def _imported(code: ast.AST, package: list[str]) -> list[str]:
    """Dotted names of the modules that a piece of code imports, and of what it imports from them."""
    found = []
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base += node.module.split(".") if node.module else []
            found += [".".join(base), *(".".join([*base, alias.name]) for alias in node.names)]
    return found


def _defaults(function: ast.FunctionDef) -> list[ast.expr]:
    """Values of the parameters that are not given; their types and help texts make no difference."""
    return [*function.args.defaults, *filter(None, function.args.kw_defaults)]


def _functions(command: str) -> list[ast.FunctionDef]:
    """The function of a command, and those beside it that it calls."""
    there = {node.name: node for node in _tree(CLI).body if isinstance(node, ast.FunctionDef)}
    found, todo = {}, [command]
    while todo:
        name = todo.pop()
        found[name] = there[name]
        own = {argument.arg for argument in ast.walk(there[name].args) if isinstance(argument, ast.arg)}
        called = {node.id for part in there[name].body for node in ast.walk(part) if isinstance(node, ast.Name)} - own
        todo += [other for other in called if other in there and other not in found]
    return [found[name] for name in sorted(found)]


@cache
def _hash(name: str) -> str:
    found = hashlib.sha256(_essence(_tree(name)).encode())
    for path in _templates(name):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def _templates(name: str) -> list[Path]:
    """What a package makes pages from; it counts as code of the package."""
    file = _file(name)
    if file is None or file.name != "__init__.py":
        return []
    return sorted(path for path in file.parent.iterdir() if path.suffix in TEMPLATES)


def _essence(*nodes: ast.AST) -> str:
    """Code as text, without comments, layout and docstrings."""
    tree = ast.parse("\n".join(map(ast.unparse, nodes)))  # a copy of its own: comments are gone
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_text(statement)] or [ast.Pass()]
    return ast.unparse(tree)  # its dump is another one in each Python


@cache
def _version(library: str) -> str:
    """The version in public: 2.11.0+cu128 and 2.11.0+cpu are builds of one."""
    return f"{library}=={version(library).partition('+')[0]}"


def _is_text(statement: ast.stmt) -> bool:
    """A docstring, of a module, class, function or field."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
