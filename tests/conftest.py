"""Fixtures for all tests."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from sa_sr import gpus
from sa_sr.data.assets import find
from sa_sr.data.fetch import download
from sa_sr.errors import UserError

ROOT = Path(__file__).parent.parent
settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
os.environ.setdefault("SA_SR_CPU", "1")  # where no GPU is seen, whatever the environment says
os.environ.setdefault("OMP_NUM_THREADS", "1")  # networks in tests are small: more threads only wait for each other


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones come first, or one process would be left alone with them."""
    items.sort(key=lambda item: item.path.parent.name not in ("workflow", "fuzz"))


@pytest.fixture(scope="session")
def asset() -> Callable[[str], Path]:
    """asset("realsr_df2k_x4.bin"): the file, from $SA_SR_ASSETS or results/assets, fetched if it isn't there.

    The test is skipped where no source can be reached; in CI it fails.
    """

    def get(name: str) -> Path:
        target = Path(os.environ.get("SA_SR_ASSETS", ROOT / "results" / "assets")) / name
        try:
            download(name, find(name), target)
        except UserError as e:
            if os.environ.get("CI"):
                pytest.fail(str(e))
            pytest.skip(str(e))
        return target

    return get


@pytest.fixture(scope="session", autouse=True)
def own_leases(tmp_path_factory) -> None:
    """What trains in this process has its GPU until pytest ends: the workflows that tests start can't wait for that."""
    gpus.FOLDER = tmp_path_factory.mktemp("gpus")


def without_root(command: list[str]) -> list[str]:
    """The command, so that file permissions count, which root ignores. Where that can't be had the test is skipped."""
    if os.geteuid() != 0:
        return command
    if not shutil.which("setpriv"):
        pytest.skip("root ignores permissions, and there is no setpriv")
    ignoring = "-dac_override,-dac_read_search"
    return ["setpriv", "--bounding-set", ignoring, "--inh-caps", ignoring, *command]
