"""Fixtures and test profiles that every test may use."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# `ci` tries the same examples on every run; `pytest --hypothesis-profile=fuzz` looks for new ones.
# Neither measures time: a busy machine must not fail a test.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", UNTIMED, derandomize=True, database=None, max_examples=50)
settings.register_profile("fuzz", UNTIMED, max_examples=5000, print_blob=True)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared(repository: Path) -> Path:
    """The optional folder of external data: golden traces and real data sets.

    It is named by the environment variable FUSEFLOW_SHARED, else a folder `shared` next to the
    checkout. A test that asks for it is skipped where the folder does not exist.
    """
    folder = Path(os.environ.get("FUSEFLOW_SHARED", repository.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("no external data: set FUSEFLOW_SHARED to the folder that holds it")
    return folder
