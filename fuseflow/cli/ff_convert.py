# SPDX-License-Identifier: MIT
"""`ff-convert`: graphs and tensors of other tools in, graphs and tensors for other tools out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuseflow.cli.common import Context, check_output, open_input, produce, run
from fuseflow.cli.parser import Parser
from fuseflow.errors import Finding, InterchangeError, Location, UsageError

if TYPE_CHECKING:
    from fuseflow.interop.graphs.operands import Operands
    from fuseflow.ir.dataflow import DataflowProgram
    from fuseflow.ir.einsum import Value
    from fuseflow.ir.tensor import Tensor
    from fuseflow.wire import Artifact

__all__ = ["DIALECTS", "TENSOR_FILES", "main", "make_parser"]

ARTIFACT, COMAL, SAM, FOLDER = "artifact", "comal", "sam-dot", "tensor-dir"
DIALECTS = ("comal@a696657", "comal@4675298")
TENSOR_FILES = ("mtx", "tns", "npz", "npy")
SOURCES = (ARTIFACT, COMAL, *DIALECTS, SAM, FOLDER, *TENSOR_FILES)
TARGETS = (ARTIFACT, *DIALECTS, FOLDER, *TENSOR_FILES)

DESCRIPTION = f"""Convert graphs and tensors between fuseflow and other tools.

  FORMAT        what it is
  artifact      what our commands read and write (the default on both sides)
  {DIALECTS[0]} a ComalGraph of FuseFlow's compiler: one folder per kernel, graph and tensors
  {DIALECTS[1]} the same for the public Comal simulator; plain "comal" finds out, on reading
  sam-dot       a .gv file of the Sparse Abstract Machine's compiler
  tensor-dir    a folder of tensor_NAME_mode_* files
  mtx tns npz npy   one tensor, with --tensor NAME where there are several

  ff-convert --from comal graph.bin --data DIR | ff-sim | ff-show
  ff-fuse model.pb | ff-convert --to comal@a696657 -o OUT"""


def make_parser() -> Parser:
    """Return the parser of the command."""
    parser = Parser("ff-convert", DESCRIPTION)
    parser.add_input("what to convert: a file, or a folder of graphs or tensors")
    parser.add_output("the result: a file, or a folder for graphs and tensors", dest="target")
    parser.add_argument(
        "--from", dest="source", choices=SOURCES, default=ARTIFACT, help="format of FILE"
    )
    parser.add_argument("--to", choices=TARGETS, default=ARTIFACT, help="format to write")
    parser.add_argument(
        "--data", metavar="DIR", help="the tensor directory of a graph (default: data beside it)"
    )
    parser.add_argument(
        "--bind",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="take a tensor of a graph from a file; may be repeated",
    )
    parser.add_argument(
        "--tensor", metavar="NAME", help="convert this tensor; of a file: what to call it"
    )
    parser.add_argument(
        "--plain",
        action="store_true",
        help="read a ComalGraph as other tools do, without our labels",
    )
    parser.add_argument(
        "--strict", action="store_true", help="fail if the conversion loses or changes anything"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(make_parser(), _execute, arguments)


def _execute(context: Context) -> int:
    args = context.args
    writes_folder = args.to in (*DIALECTS, FOLDER)
    if args.target == "-" and args.to != ARTIFACT:
        kind = "DIR" if writes_folder else "FILE"
        raise UsageError("U020 no-target", f"--to {args.to} needs -o {kind}")
    if not writes_folder:
        args.output = args.target
        check_output(args)
    if args.source in (FOLDER, *TENSOR_FILES):
        tensors, remarks = _read_tensors(args)
        _refuse_losses(context, remarks)
        _write_tensors(context, tensors)
    elif args.source == ARTIFACT:
        _convert_artifact(context)
    else:
        _convert_program(context, _read_graph(context), None)
    return 0


def _convert_artifact(context: Context) -> None:
    from fuseflow.ir.dataflow import DataflowProgram
    from fuseflow.wire import read_any_artifact

    artifact = read_any_artifact(open_input(context.args.input))
    for remark in artifact.remarks:
        context.console.note(remark)
    root = artifact.root
    if context.args.to == ARTIFACT:
        produce(context, root, artifact)
    elif context.args.to in DIALECTS:
        if not isinstance(root, DataflowProgram):
            message = f"only a DataflowProgram has graphs to write, this is a {type(root).__name__}"
            raise UsageError("U021 no-graph", message, fix="run ff-fuse first")
        _convert_program(context, root, artifact)
    else:
        _write_tensors(context, _tensors_of(root))


def _convert_program(
    context: Context, program: DataflowProgram, source: Artifact[Any] | None
) -> None:
    args = context.args
    if args.to in DIALECTS:
        from fuseflow.interop.comal.exporter import export_comal, export_kernels

        if args.strict:
            kernels = export_kernels(program, args.to)
            _refuse_losses(context, [f"{k.name}: {r}" for k in kernels for r in k.remarks])
        for remark in export_comal(program, Path(args.target), args.to):
            context.console.note(remark)
    elif args.to == ARTIFACT:
        _refuse_losses(context, program.notes)
        produce(context, program, source)
    else:
        _write_tensors(context, _tensors_of(program))


def _read_graph(context: Context) -> DataflowProgram:
    args = context.args
    path = Path(args.input)
    if args.input == "-" or not path.exists():
        message = "there is no such file" if args.input != "-" else "name a file"
        raise UsageError("U003 no-file", message, where=Location(file=args.input))
    if args.source == SAM:
        from fuseflow.interop.sam.importer import import_sam

        return import_sam(path, _operands(args, path))
    from fuseflow.interop.comal.importer import import_comal

    dialect = None if args.source == COMAL else args.source
    return import_comal(path, _operands(args, path), dialect, plain=args.plain)


def _operands(args: Any, path: Path) -> Operands:
    """Return where the tensors of a graph are: bound files first, then tensor directories."""
    from fuseflow.interop.graphs.operands import BoundOperands, FolderOperands, JoinedOperands
    from fuseflow.interop.tensors.directory import TensorFolder
    from fuseflow.interop.tensors.files import read_tensor

    bound: dict[str, Tensor] = {}
    for text in args.bind:
        name, equals, source = text.partition("=")
        if not (name and equals and source):
            raise UsageError("U002 bad-option", f'--bind "{text}" is not of the form NAME=FILE')
        bound[name], _ = read_tensor(source)
    folders = [Path(args.data)] if args.data else _folders_beside(path)
    sources = [FolderOperands(TensorFolder(folder)) for folder in folders]
    return JoinedOperands([BoundOperands(bound), *sources])


def _folders_beside(path: Path) -> list[Path]:
    """Return the data folders of a graph, or of all graphs of a folder."""
    from fuseflow.interop.comal.importer import DATA

    beside = path if path.is_dir() else path.parent
    found = [beside / DATA, *sorted(beside.glob(f"*/{DATA}") if path.is_dir() else [])]
    return [folder for folder in found if folder.is_dir()]


def _read_tensors(args: Any) -> tuple[dict[str, Tensor], list[str]]:
    from fuseflow.interop.tensors.directory import TensorFolder
    from fuseflow.interop.tensors.files import read_tensor

    if args.source != FOLDER:
        name = args.tensor or Path(args.input.partition(":")[0]).name.partition(".")[0]
        tensor, remarks = read_tensor(args.input)
        return {name: tensor}, list(remarks)
    folder = TensorFolder(Path(args.input))
    names = [args.tensor] if args.tensor else [n for n in folder.names() if folder.has_data(n)]
    return {name: folder.read(name) for name in names}, folder.remarks


def _tensors_of(root: Any) -> dict[str, Tensor]:
    """Return the tensors of an artifact that have data."""
    values: Iterable[Value]
    if hasattr(root, "tensors"):
        values = root.tensors.values()
    else:
        values = root.values.values() if hasattr(root, "values") else root.outputs
    return {value.name: value.tensor for value in values if value.tensor is not None}


def _write_tensors(context: Context, tensors: Mapping[str, Tensor]) -> None:
    from fuseflow.interop.tensors.directory import write_tensor
    from fuseflow.interop.tensors.files import write_tensor_file

    args = context.args
    if args.to not in (FOLDER, *TENSOR_FILES):
        message = f"tensors cannot be written as {args.to}"
        raise UsageError("U022 no-tensor-format", message, fix=f"--to {FOLDER} or a file")
    chosen = _chosen(args.tensor, tensors)
    filled = {} if args.to in ("npy", FOLDER) else chosen
    losses = [f'the background {tensor.fill:g} of "{name}" is not in the format'
              for name, tensor in filled.items() if tensor.fill]  # fmt: skip
    _refuse_losses(context, losses)
    if args.to == FOLDER:
        for name, tensor in chosen.items():
            write_tensor(Path(args.target), name, tensor)
        return
    if len(chosen) != 1:
        names = ", ".join(chosen)
        raise UsageError("U023 which-tensor", f"one of {names} can be written", fix="--tensor NAME")
    ((name, tensor),) = chosen.items()
    suffix = Path(args.target.removesuffix(".gz")).suffix.lower()
    if suffix != f".{args.to}":
        message = f"--to {args.to} writes a file that ends in .{args.to}"
        raise UsageError("U024 suffix", message, where=Location(file=args.target))
    write_tensor_file(Path(args.target), name, tensor)


def _chosen(name: str | None, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    if name is None or len(tensors) == 1:
        return tensors
    if name not in tensors:
        known = ", ".join(tensors) or "none"
        raise UsageError("U023 which-tensor", f'there is no tensor "{name}" with data: {known}')
    return {name: tensors[name]}


def _refuse_losses(context: Context, losses: Sequence[str]) -> None:
    """Say what a conversion loses or changes; with --strict that is an error.

    Raises:
        InterchangeError: X010 with all losses.
    """
    if losses and context.args.strict:
        raise InterchangeError.from_findings([Finding("X010", loss) for loss in losses])
    for loss in losses:
        context.console.note(loss)


if __name__ == "__main__":
    sys.exit(main())
