"""What several unit tests start from."""

import pytest
import skimage
from PIL import Image

from sa_sr.config import Images
from sa_sr.data.prepare import prepare
from sa_sr.edges import extract_edges
from sa_sr.training import trainer


@pytest.fixture
def files(tmp_path, asset) -> trainer.Files:
    """A photo to train on, one to validate on, their edge maps."""
    for role, name in {"train": "coffee", "val": "chelsea"}.items():
        place = tmp_path / role
        place.mkdir()
        image = Image.open(f"{skimage.__path__[0]}/data/{name}.png").crop((100, 100, 228, 228))
        image.save(place / f"{name}.png")
        prepare(Images(kind="images", sources=[{"folder": str(place)}]), place, tmp_path / f"{role}.h5")
        extract_edges(tmp_path / f"{role}.h5", tmp_path / f"{role}_edges.h5", "local_variance", {})
    return trainer.Files(
        tmp_path / "train.h5", tmp_path / "train_edges.h5", tmp_path / "val.h5", tmp_path / "val_edges.h5", None,
        asset("vgg19_oxford_q8.bin"), tmp_path / "state", tmp_path / "model.safetensors", tmp_path / "history.csv",
        tmp_path / "val.csv",
    )  # fmt: skip
