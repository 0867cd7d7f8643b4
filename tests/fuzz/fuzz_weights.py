"""Weight files of every kind, told by their first bytes: torch's zip and its predecessor, safetensors, ncnn."""

import atheris

with atheris.instrument_imports(include=["sa_sr.models", "torch._weights_only_unpickler"]):
    from sa_sr.models.checkpoints import load_state, rename_rrdb

from tests.fuzz.harness import fuzz_file

if __name__ == "__main__":
    fuzz_file(lambda file: rename_rrdb(load_state(file)[0]))
