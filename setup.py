"""Build steps that pyproject.toml cannot express: Cython extensions and protobuf code.

Metadata, dependencies and tool settings are in pyproject.toml. Set ``FUSEFLOW_DEBUG=1`` to compile
the extensions with bounds and overflow checks, and ``FUSEFLOW_SANITIZE`` to what the C compiler is
to watch as well, such as ``address,undefined`` or ``thread``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from setuptools import Command, Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.errors import ExecError

PROTO_ROOT = Path("proto")
PROTO_PACKAGE = Path("fuseflow/v1")
GENERATED_INIT = '"""Generated from proto/fuseflow/v1 by the build; not to be edited."""\n'

DEBUG = os.environ.get("FUSEFLOW_DEBUG", "") not in ("", "0")
SANITIZE = os.environ.get("FUSEFLOW_SANITIZE", "")
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": DEBUG,
    "overflowcheck": DEBUG,
}
# No -ffast-math, no fused operations, no -march=native: every build computes the same bits.
COMPILE_ARGS = [*(["-O1", "-g1"] if DEBUG or SANITIZE else ["-O3"]), "-ffp-contract=off"]
LINK_ARGS: list[str] = []
if SANITIZE:
    # Copying no bytes from nowhere is harmless.
    COMPILE_ARGS += [f"-fsanitize={SANITIZE}", "-fno-sanitize-recover=all"]
    COMPILE_ARGS += ["-fno-sanitize=nonnull-attribute"]
    LINK_ARGS += [f"-fsanitize={SANITIZE}"]


def find_extensions() -> list[Extension]:
    """Every ``.pyx`` in the package, in a stable order; its path is its module name."""
    return [
        Extension(
            ".".join(source.with_suffix("").parts),
            [str(source)],
            extra_compile_args=COMPILE_ARGS,
            extra_link_args=LINK_ARGS,
        )
        for source in sorted(Path("fuseflow").rglob("*.pyx"))
    ]


class BuildExtensions(build_ext):
    """Translate with the directives above; start afresh when they differ from the last build's."""

    def run(self) -> None:
        record = self._folder() / "directives.json"
        wanted = json.dumps([DIRECTIVES, COMPILE_ARGS])
        if not record.exists() or record.read_text() != wanted:
            self.force = True
        super().run()
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(wanted)

    def build_extension(self, ext: Extension) -> None:
        from Cython.Build import cythonize

        (translated,) = cythonize(
            [ext],
            build_dir=str(self._folder() / "cython"),
            compiler_directives=DIRECTIVES,
            force=self.force,
            quiet=True,
        )
        ext.sources = translated.sources
        super().build_extension(ext)

    def _folder(self) -> Path:
        """Where this kind of build keeps its files, below this one: `--build-base`, or build."""
        folder = Path(self.build_temp).parent
        return Path("build") if self.inplace or folder.is_absolute() else folder


class BuildProto(Command):
    """Generate ``fuseflow/v1`` from ``proto``: in the build folder, or in place for development."""

    description = "generate the protobuf modules of fuseflow.v1"
    user_options: ClassVar = [
        ("inplace", "i", "write next to the source, not into the build folder")
    ]
    boolean_options: ClassVar = ["inplace"]

    # Set by setuptools when the package is installed editable.
    editable_mode = False

    def initialize_options(self) -> None:
        self.build_lib: str | None = None
        self.inplace = False

    def finalize_options(self) -> None:
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    def run(self) -> None:
        outputs = [Path(name) for name in self.get_outputs()]
        if not _older(outputs, [*self._schemas(), Path(__file__)]):
            return
        root = self._target_root()
        package = root / PROTO_PACKAGE
        package.mkdir(parents=True, exist_ok=True)
        for left_over in set(package.glob("*_pb2.py*")) - set(outputs):
            left_over.unlink()
        self._run_protoc(root)
        (package / "__init__.py").write_text(GENERATED_INIT)

    def get_source_files(self) -> list[str]:
        return [schema.as_posix() for schema in self._schemas()]

    def get_outputs(self) -> list[str]:
        package = self._target_root() / PROTO_PACKAGE
        modules = [
            package / (schema.stem + suffix)
            for schema in self._schemas()
            for suffix in ("_pb2.py", "_pb2.pyi")
        ]
        return [path.as_posix() for path in [package / "__init__.py", *modules]]

    def get_output_mapping(self) -> dict[str, str]:
        """No file of the build is a copy of one source file."""
        return {}

    def _schemas(self) -> list[Path]:
        return sorted((PROTO_ROOT / PROTO_PACKAGE).glob("*.proto"))

    def _target_root(self) -> Path:
        return Path() if self.inplace or self.editable_mode else Path(self.build_lib)

    def _run_protoc(self, root: Path) -> None:
        arguments = [f"-I{PROTO_ROOT}", f"--python_out={root}", f"--pyi_out={root}"]
        protoc = [sys.executable, "-m", "grpc_tools.protoc", *arguments, *self.get_source_files()]
        if subprocess.run(protoc, check=False).returncode:
            raise ExecError("no protobuf code was generated: see the messages above")


def _older(outputs: list[Path], sources: list[Path]) -> bool:
    """Whether an output is missing or older than a source."""
    if not all(path.exists() for path in outputs):
        return True
    return min(p.stat().st_mtime for p in outputs) < max(p.stat().st_mtime for p in sources)


build.sub_commands = [("build_proto", None), *build.sub_commands]

setup(
    ext_modules=find_extensions(),
    cmdclass={"build_ext": BuildExtensions, "build_proto": BuildProto},
)
