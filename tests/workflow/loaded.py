"""Imported by a process that forks: this project, what it imports inside its functions, and the hashes of its code."""

from importlib import import_module
from pkgutil import walk_packages

import sa_sr
from sa_sr import provenance
from sa_sr.torchvision_compat import ensure_torchvision

ensure_torchvision()
NAMES = [module.name for module in walk_packages(sa_sr.__path__, "sa_sr.") if not module.name.endswith("__main__")]
for name in (*NAMES, "lpips", "pyarrow.parquet", "matplotlib.pyplot", "torch._dynamo"):
    import_module(name)
provenance.modules(*NAMES)
