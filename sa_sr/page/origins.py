"""What made the results: the records beside the files, followed from these to where everything began."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from sa_sr import records
from sa_sr.render.page import scrolling


@dataclass
class Stage:
    """What the records of one stage have in common."""

    depth: int = 0
    """How many stages come before it, at most."""
    files: int = 0
    libraries: set[str] = field(default_factory=set)
    by: set[str] = field(default_factory=set)


@dataclass
class Origins:
    """All that some files were made from."""

    stages: dict[str, Stage] = field(default_factory=dict)
    """By command."""
    assets: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each download, by its name."""
    weights: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the weights of each training, by the name of its folder."""
    depths: dict[str, int] = field(default_factory=dict)
    """Of each file that was looked at."""

    def follow(self, path: str) -> int:
        """Add a file and all that it was made from; its depth, 0 where it has no record."""
        if path not in self.depths:
            self.depths[path] = 0  # already here: a damaged record may lead back to itself
            if record := records.read(path):
                self.depths[path] = 1 + max(map(self.follow, record["inputs"]), default=0)
                self._add(path, record)
        return self.depths[path]

    def _add(self, path: str, record: dict[str, Any]) -> None:
        command, checksum = record["command"], record["content"]["sha256"]
        stage = self.stages.setdefault(command, Stage())
        stage.depth = max(stage.depth, self.depths[path])
        stage.files += 1
        stage.by.add(record["by"])
        stage.libraries |= {entry for entry in record["code"] if "==" in entry}
        if command == "download":
            self.assets[Path(path).name] = checksum
        if command in ("pretrain", "train") and path.endswith(".safetensors"):
            self.weights[Path(path).parent.name] = checksum


def provenance(paths: Sequence[Path]) -> str:
    """HTML: versions of the programs and libraries of each stage that led to some files, and the checksums."""
    found = Origins()
    for path in paths:
        found.follow(str(path))
    if not found.stages:
        return "<p>There are no records beside the files.</p>\n"
    rows = [
        (
            command.replace("_", "-"),
            str(stage.files),
            "; ".join(sorted(stage.by)),
            ", ".join(entry.replace("==", " ") for entry in sorted(stage.libraries)) or "none",
        )
        for command, stage in sorted(found.stages.items(), key=lambda one: (one[1].depth, one[0]))
    ]
    return (
        "<p>What made the weights, the numbers and the pictures, from the records beside the files. A library is named "
        "where its version can change a result.</p>\n"
        + _table(("Stage", "Files", "Made by", "Libraries"), rows)
        + _checksums("weights of the trainings", found.weights)
        + _checksums("files that were downloaded", found.assets)
    )


def _checksums(what: str, found: dict[str, str]) -> str:
    if not found:
        return ""
    table = _table(("Name", "SHA-256"), sorted(found.items()))
    return f"<details><summary>SHA-256 of {what}</summary>\n{table}</details>\n"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    names = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>\n'
        for first, *rest in rows
    )
    return scrolling(f'<table class="settings">\n<thead><tr>{names}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>')
