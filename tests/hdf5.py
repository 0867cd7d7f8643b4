"""What is in the HDF5 files that tests look into."""

from pathlib import Path

from sa_sr.storage import h5_reader


def items(path: Path, group: str = "hr") -> list[str]:
    """Names of the items of one group, sorted."""
    with h5_reader(path) as f:
        return sorted(f[group])
