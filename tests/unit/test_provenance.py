"""Code fingerprints change when code changes, and only then."""

import re
from importlib import metadata
from pathlib import Path

import pytest

from sa_sr import provenance


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of a small package in which every import form occurs."""
    files = {
        "__init__.py": "",
        "a.py": (
            '"""A."""\nfrom sa_sr import b\n\n'
            'def f():\n    """Does f."""\n    from sa_sr.sub.c import g  # late\n    return g() + b.x\n'
        ),
        "b.py": "x = 1\n",
        "lonely.py": "y = 1\n",
        "config.py": "z = 1\n",
        "sub/__init__.py": "",
        "sub/c.py": "from . import d\nfrom ..config import z\n\ndef g():\n    return d.w\n",
        "sub/d.py": "w = 2\n",
    }
    for name, text in files.items():
        (tmp_path / "sa_sr" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sa_sr" / name).write_text(text)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return tmp_path / "sa_sr"


@pytest.fixture(autouse=True)
def fresh():
    yield
    provenance.forget()


def tags(package: Path) -> dict[str, str]:
    provenance.forget()
    return dict(tag.split("@") for tag in provenance.modules("sa_sr.a"))


def test_reaches_every_import_and_no_more(package):
    assert set(tags(package)) == {"sa_sr.a", "sa_sr.b", "sa_sr.sub", "sa_sr.sub.c", "sa_sr.sub.d"}


def test_comments_docstrings_and_layout_do_not_count(package):
    before = tags(package)
    text = (package / "a.py").read_text()
    (package / "a.py").write_text(
        "# hello\n" + text.replace("A.", "Another").replace("Does f.", "F.").replace("  # late", "")
    )
    assert tags(package) == before


def test_an_edit_changes_the_module_that_was_edited(package):
    before = tags(package)
    (package / "sub" / "d.py").write_text("w = 3\n")
    after = tags(package)
    assert {name for name in before if before[name] != after[name]} == {"sa_sr.sub.d"}


def test_the_templates_of_a_package_count_as_its_code(package):
    before = tags(package)
    (package / "sub" / "page.css").write_text("p { margin: 0 }")
    assert {name for name, tag in tags(package).items() if before[name] != tag} == {"sa_sr.sub"}


def test_code_that_is_not_reached_does_not_count(package):
    before = tags(package)
    (package / "lonely.py").write_text("y = 2\n")
    (package / "config.py").write_text("z = 2\n")
    assert tags(package) == before


def test_stages_do_not_depend_on_each_other():
    evaluate = {tag.split("@")[0] for tag in provenance.code("evaluate")}
    assert "sa_sr.losses" not in evaluate
    assert "sa_sr.training.trainer" not in evaluate
    assert not any("vsrresnet" in name or "rrdbnet" in name for name in evaluate)
    esrgan = {tag.split("@")[0] for tag in provenance.code("train", "sa_sr.models.esrgan")}
    assert "sa_sr.models.rrdbnet" in esrgan
    assert "sa_sr.models.vsrresfeatgan" not in esrgan
    assert not esrgan & {"sa_sr", "sa_sr.progress", "sa_sr.provenance", "sa_sr.errors"}
    prepare = {tag.split("@")[0] for tag in provenance.code("prepare")}
    assert "sa_sr.data.resize" in prepare
    assert not any(name.startswith(("sa_sr.models", "sa_sr.render")) for name in prepare)


def test_the_health_rules_make_a_table_and_no_training():
    trained = {tag.split("@")[0] for tag in provenance.code("train")}
    assert "sa_sr.training.log" in trained
    assert not trained & {"sa_sr.training.health", "sa_sr.training.warn"}
    tabulated = {tag.split("@")[0] for tag in provenance.code("health")}
    assert {"sa_sr.render.health", "sa_sr.training.health"} <= tabulated


def test_a_plugin_counts_with_the_helpers_that_it_imports_and_the_libraries_of_all_of_them(tmp_path, monkeypatch):
    files = {
        "mylab/__init__.py": "",
        "mylab/edges.py": "import cv2\nfrom mylab import no\nfrom .tools import blur\nimport helper, broken, library\n",
        "mylab/tools.py": "import skimage.filters\nimport h5py\nimport json\nraise SystemExit('imported')\n",
        "helper.py": "x = 1\n",
        "broken.py": "x = (\n",
        "far/library.py": "x = 1\n",
        "far/library-3.1+local.dist-info/METADATA": "Metadata-Version: 2.1\nName: library\nVersion: 3.1+local\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "far")
    before = provenance.modules("mylab.edges")
    assert [re.split("@|==", tag)[0] for tag in before] == [
        *("broken", "helper", "mylab", "mylab.edges", "mylab.tools"),
        *("cv2", "library", "skimage"),
    ]
    assert "library==3.1" in before
    assert f"skimage=={metadata.version('scikit-image')}" in before
    (tmp_path / "helper.py").write_text("x = 2\n")
    provenance.forget()
    assert next(tag for tag in provenance.modules("mylab.edges") if tag not in before).startswith("helper@")


def test_the_version_of_a_library_is_found_whichever_distribution_it_comes_from(monkeypatch):
    """As where opencv-python-headless is installed instead."""
    monkeypatch.setattr(provenance, "NAMES", {"cv2": "no-such-distribution"})
    assert f"cv2=={metadata.version('opencv-python')}" in provenance.modules("sa_sr.edges.canny")


def test_a_plugin_that_is_installed_counts_by_its_version():
    assert provenance.modules("skimage.filters") == [f"skimage=={metadata.version('scikit-image')}"]
