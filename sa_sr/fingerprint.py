"""Code as text in which only what can change a result is left.

Comments, layout, docstrings and the words of messages are left out: those of `raise`, of errors and of log calls. The
text is made of the types and fields of the syntax tree, so that it is one text under every Python; `ast.unparse` and
`ast.dump` are not. The standard library alone is needed, for a test runs this file under every Python that it finds.
"""

import ast
from collections.abc import Iterator

LOGGERS = {"log", "logging", "warnings"}
"""Names of objects whose methods tell people something."""
ERRORS = ("Error", "Refused")
"""Ends of the names of classes whose arguments tell people something."""
POSITIONS = {"ctx", "kind", "type_comment"}
"""Fields of nodes that say nothing which other fields do not say."""


def essence(*nodes: ast.AST) -> str:
    """Code as text: equal texts give equal results, whichever Python has parsed the code."""
    return "".join(part for node in nodes for part in _text(node, words=True))


def _text(node: object, words: bool) -> Iterator[str]:
    """The parts of the text of a node; words: whether strings count."""
    if isinstance(node, ast.Constant):
        if words or not isinstance(node.value, str):
            yield f"{type(node.value).__name__} {node.value!a};"
    elif isinstance(node, ast.JoinedStr):
        yield from _f_string(node, words)
    elif isinstance(node, ast.AST):
        yield f"{type(node).__name__}("
        for name, value in ast.iter_fields(node):
            if name == "body" and isinstance(value, list):
                value = [statement for statement in value if not _is_text(statement)]
            if name not in POSITIONS and value is not None and value != []:
                yield f"{name}="
                yield from _text(value, words and not _tells(node))
        yield ")"
    elif isinstance(node, list):
        yield "["
        for part in node:
            yield from _text(part, words)
        yield "]"
    else:
        yield f"{node!a};"


def _f_string(node: ast.JoinedStr, words: bool) -> Iterator[str]:
    """An f-string; Pythons differ in how they cut its words into parts."""
    yield "f("
    text = ""
    for part in [*node.values, None]:
        if isinstance(part, ast.Constant):
            text += str(part.value)
            continue
        if text and words:
            yield f"str {text!a};"
        text = ""
        if isinstance(part, ast.FormattedValue):
            yield f"{{{part.conversion};"
            yield from _text(part.value, words)
            if isinstance(part.format_spec, ast.JoinedStr) and part.format_spec.values:
                yield from _f_string(part.format_spec, words)
            yield "}"
    yield ")"


def _tells(node: ast.AST) -> bool:
    """Whether the strings in a node are words for people."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return isinstance(node.func.value, ast.Name) and node.func.value.id in LOGGERS
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id.endswith(ERRORS)
    return isinstance(node, ast.Raise)


def _is_text(statement: ast.AST) -> bool:
    """A docstring, of a module, class, function or field."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
