"""Which code and which libraries make an artefact.

Snakemake sees neither: an edit of an imported module changes no command line. So every rule hands over `code(...)` as a
param, one `module@hash` for each module that its command can reach, and the versions of the libraries that these
compute with. The job reruns exactly when one of them changed, and Snakemake's reason names it. Nothing is imported to
find out: only the import statements are read. A plug-in from outside counts with the modules that it imports, as far as
these are no installed libraries.
"""

import ast
import hashlib
import importlib.util
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from sa_sr.fingerprint import essence

PACKAGE = "sa_sr"
TRANSPARENT = {
    "sa_sr",
    *(f"sa_sr.{name}" for name in ("config", "damage", "errors", "files", "gpus", "layout", "lock", "plan", "plugins")),
    *(f"sa_sr.{name}" for name in ("progress", "provenance", "rank", "data.fetch", "data.packages")),
    *(f"sa_sr.{name}" for name in ("training.stop", "training.warn")),
}
"""Neither counted nor followed: settings reach a stage as params, whose text changes with them; what is fetched has its
checksum; the others find, refuse, wait, report or bring to disk, and can't change a result."""
BEARERS = {"h5py", "httpx2", "psutil", "pyarrow", "pydantic", "pydantic_core", "safetensors", "simplejpeg", "tqdm"}
BEARERS |= {"typer", "unearth", "yaml"}
"""Libraries that store, check, fetch and pass on. All others decode, compute, or draw random numbers or pictures, and
their versions count."""
NAMES = {"PIL": "pillow", "cv2": "opencv-python", "skimage": "scikit-image"}
"""Distributions whose name is not that of their module; any other such name is looked up, which takes half a second."""
TEMPLATES = {".html", ".css", ".js"}
"""Files of a package that are code, though not Python."""
ROOT = Path(__file__).parent.parent
CLI = f"{PACKAGE}.cli"


def code(command: str, *plugins: str) -> list[str]:
    """What decides, beside settings and inputs, what a command of `sa_sr.cli` makes.

    command: the name of its function; plugins: dotted modules which it finds by name at run time. Returns the
    fingerprint ("module@hash") of the function and of each module that it reaches, then "library==version" for each
    library that these import, by the name of its import.
    """
    functions = _functions(command)
    reached = [module for f in functions for module in _imported(f, [PACKAGE])]
    own = hashlib.sha256("".join(essence(_body(f), *_defaults(f)) for f in functions).encode()).hexdigest()[:12]
    return [f"{CLI}.{command}@{own}", *modules(*reached, *plugins)]


def modules(*roots: str) -> list[str]:
    """Fingerprints of modules and of all that they import, then the versions of the libraries that these import.

    roots: dotted names; of an installed package the version counts. Comments, layout, docstrings and the words of
    messages do not change a hash.
    """
    found = sorted(_closure(roots))
    imported = {
        name.partition(".")[0] for name in [*roots, *(n for module in found for n in _imports(module))]
    } - BEARERS
    libraries = [name for name in sorted(imported) if _is_library(name)]
    return [f"{name}@{_hash(name)}" for name in found] + [f"{name}=={_version(name)}" for name in libraries]


def forget() -> None:
    """Read the modules again at the next question: a long-lived process else remembers them as they were."""
    for remembered in (_file, _place, _is_installed, _tree, _imports, _hash, _version):
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
    """The source of a module of this package, or of one that is neither installed nor a part of Python."""
    top, *rest = name.split(".")
    if top == PACKAGE:
        folder = ROOT
        rest = [top, *rest]
    elif (place := _place(top)) is None or _is_installed(place):
        return None
    elif not rest:
        return place / "__init__.py" if (place / "__init__.py").is_file() else place if place.is_file() else None
    else:
        folder = place
    path = folder.joinpath(*rest)
    return next((p for p in (path / "__init__.py", path.with_suffix(".py")) if p.is_file()), None)


@cache
def _place(top: str) -> Path | None:
    """The folder of a package, or the file of a module, that `import top` would run; nothing is imported."""
    if top in sys.stdlib_module_names:
        return None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None


@cache
def _is_installed(place: Path) -> bool:
    """Whether a module lies where an installer has put it, beside what the installer noted."""
    return next(place.parent.glob("*.dist-info"), None) is not None


def _is_library(top: str) -> bool:
    """Whether a module comes from an installed distribution."""
    place = _place(top) if top != PACKAGE else None
    return place is not None and _is_installed(place)


@cache
def _tree(name: str) -> ast.Module:
    file = _file(name)
    assert file is not None
    content = file.read_bytes()
    try:
        return ast.parse(content, filename=str(file))
    except (SyntaxError, ValueError):  # of a plug-in, which then can't be imported either
        return ast.Module([ast.Expr(ast.Constant(content))], [])


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
    found = hashlib.sha256(essence(_tree(name)).encode())
    for path in _templates(name):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def _templates(name: str) -> list[Path]:
    """What a package makes pages from; it counts as code of the package."""
    file = _file(name)
    if file is None or file.name != "__init__.py":
        return []
    return sorted(path for path in file.parent.iterdir() if path.suffix in TEMPLATES)


@cache
def _version(name: str) -> str:
    """The public version of a library by the name of its import: 2.11.0+cu128 and 2.11.0+cpu are builds of one.

    Which distribution the library comes from does not count: opencv-python-headless is opencv-python without windows.
    """
    try:
        full = version(NAMES.get(name, name))
    except PackageNotFoundError:
        named = packages_distributions().get(name)
        full = version(named[0]) if named else "unknown"
    return full.partition("+")[0]


def _body(function: ast.FunctionDef) -> ast.Module:
    return ast.Module(function.body, [])
