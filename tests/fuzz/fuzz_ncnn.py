"""RealSR's weights, of an RRDBNet without blocks, which is the shortest."""

from functools import partial

import atheris

with atheris.instrument_imports(include=["sa_sr.models.ncnn"]):
    from sa_sr.models.ncnn import load_realsr

from tests.fuzz.harness import fuzz_file

if __name__ == "__main__":
    fuzz_file(partial(load_realsr, num_block=0))
