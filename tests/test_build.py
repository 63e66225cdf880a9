"""The source distribution and the wheel hold what their users need, and nothing else."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def distributions(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, built from a copy of the checkout without anything that was generated."""
    source = tmp_path_factory.mktemp("source") / "fuseflow"
    ignore = shutil.ignore_patterns(".*", "build", "dist", "out", "*.so", "*.egg-info")
    shutil.copytree(repository, source, ignore=ignore)
    shutil.rmtree(source / "fuseflow" / "v1", ignore_errors=True)
    output = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(output)]
    subprocess.run([*command, str(source)], check=True, capture_output=True)
    return output


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> zipfile.ZipFile:
    (path,) = distributions.glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel_holds_the_generated_modules(wheel: zipfile.ZipFile, repository: Path) -> None:
    stems = [path.stem for path in (repository / "proto" / "fuseflow" / "v1").glob("*.proto")]
    generated = {f"fuseflow/v1/{stem}_pb2{suffix}" for stem in stems for suffix in (".py", ".pyi")}
    assert {"fuseflow/v1/__init__.py", *generated} <= set(wheel.namelist())


def test_wheel_holds_every_python_module_and_the_typing_mark(
    wheel: zipfile.ZipFile, repository: Path
) -> None:
    modules = (path.relative_to(repository) for path in (repository / "fuseflow").rglob("*.py"))
    expected = {path.as_posix() for path in modules if path.parts[1] != "v1"}
    assert {"fuseflow/py.typed", *expected} <= set(wheel.namelist())


def test_wheel_holds_compiled_extensions_and_not_their_source(
    wheel: zipfile.ZipFile, repository: Path
) -> None:
    sources = (path.relative_to(repository) for path in (repository / "fuseflow").rglob("*.pyx"))
    expected = {path.with_suffix("").as_posix() for path in sources}
    names = wheel.namelist()
    assert {name.partition(".")[0] for name in names if name.endswith((".so", ".pyd"))} == expected
    assert [name for name in names if name.endswith((".pyx", ".c"))] == []


def test_wheel_holds_only_the_package(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"fuseflow"}


def test_source_distribution_holds_what_the_build_reads(
    distributions: Path, repository: Path
) -> None:
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    schemas = (repository / "proto").rglob("*.proto")
    native = [p for p in (repository / "fuseflow").rglob("*") if p.suffix in (".pyx", ".pxd")]
    expected = {p.relative_to(repository).as_posix() for p in [*schemas, *native]}
    assert {"setup.py", "pyproject.toml", "LICENSE", *expected} <= names
    assert [name for name in names if name.startswith("fuseflow/v1")] == []
