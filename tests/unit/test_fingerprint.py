"""What of a piece of code counts, under every Python."""

import ast
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from sa_sr.fingerprint import essence

ROOT = Path(__file__).parents[2]
SYNTAX = ROOT / "tests/golden/syntax.txt"
"""Source text with the kinds of syntax whose trees differ from one Python to another."""
GOLDEN = "79401c8f6f66e4826324757e7d008c4102ad9473307d932d7f752f8610d4d51f"
SOURCES = sorted((ROOT / "sa_sr").rglob("*.py"))
PYTHONS = [*Path.home().glob(".pyenv/versions/3.*/bin/python"), *(shutil.which(f"python3.{n}") for n in range(11, 20))]
"""Those of pyenv and of the PATH; the program says nothing under one that is too old."""
ALONE = """
import ast, sys
from hashlib import sha256
sys.path.insert(0, sys.argv[1])
from sa_sr.fingerprint import essence
if sys.version_info >= (3, 11):
    for file in sys.argv[2:]:
        with open(file, encoding="utf-8") as f:
            print(sha256(essence(ast.parse(f.read())).encode()).hexdigest())
"""


def of(text: str) -> str:
    return essence(ast.parse(text))


def test_the_text_of_code_is_the_same_under_every_python():
    files = [str(SYNTAX), *map(str, SOURCES)]
    here = [sha256(of(Path(file).read_text(encoding="utf-8")).encode()).hexdigest() for file in files]
    assert here[0] == GOLDEN
    checked = 0
    for python in filter(None, [sys.executable, *PYTHONS]):
        done = subprocess.run([python, "-I", "-c", ALONE, ROOT, *files], capture_output=True, text=True)
        if done.returncode == 0 and done.stdout:
            assert done.stdout.split() == here, python
            checked += 1
    assert checked >= 1


MESSAGE = re.compile(r"""((?:raise \w+\(|\b(?:log|logging)\.\w+\()\s*f?["'])""")
"""The beginning of a text that people are told."""


def test_no_message_comment_or_docstring_of_any_module_counts():
    messages = 0
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        other, count = MESSAGE.subn(r"\1Another word: ", text)
        other = other.replace('"""', '"""Another word: ', 1) + "# another comment\n"
        assert of(other) == of(text), path
        assert of(text + "\nEDITED = True\n") != of(text)
        messages += count
    assert messages > 100


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("raise ValueError('a')", "raise TypeError('a')"),
        ("if x: raise ValueError('a')", "if not x: raise ValueError('a')"),
        ("raise ValueError(f'a {x}')", "raise ValueError(f'a {y}')"),
        ("f(f'{x:.2f}')", "f(f'{x:.3f}')"),
        ("f(f'{x}')", "f(f'{x!r}')"),
        ("f('a' 'b')", "f('a', 'b')"),
        ("d['a'] = 1", "d['b'] = 1"),
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 'a'", "x = b'a'"),
        ("def f(a, b): pass", "def f(a, *, b): pass"),
        ("def f(a: int): pass", "def f(a: float): pass"),
        ("x = log['a']", "x = log['b']"),
    ],
)
def test_what_can_change_a_result_counts(one, other):
    assert of(one) != of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("raise ValueError(f'a {x:.2f} b')", "raise ValueError(f'c {x:.3f}')"),
        ("log.info('a %s', x)", "log.info('b %s', x)"),
        ("return UserError('a' 'b')", "return UserError('c')"),
        ("class A:\n    x: int = 1\n    'Words.'", "class A:\n    x: int = 1"),
        ("f(f'a' 'b')", "f(f'ab')"),
        ("x = (1,\n  2)  # words", "x = 1, 2"),
    ],
)
def test_words_and_layout_do_not_count(one, other):
    assert of(one) == of(other)
