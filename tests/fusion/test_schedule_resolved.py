"""The resolved schedule says everything: compiling it again gives the same bytes."""

import io
from dataclasses import replace

import pytest

from fuseflow.cli.sources import import_case
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule import PRESETS, Iteration
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.models import zoo
from fuseflow.wire import Artifact, write_artifact

MODELS = {
    "gcn": {"graph": "powerlaw", "nodes": "24", "features": "6", "hidden": "4"},
    "graphsage": {"graph": "powerlaw", "nodes": "24", "features": "6", "hidden": "4"},
    "sae": {"input": "20", "hidden": "8", "batch": "3"},
    "gpt": {"seq": "16", "dim": "8", "heads": "2", "ffn": "12", "block": "4"},
}
REFINEMENTS = {
    "plain": FuseOptions(),
    "ordered": FuseOptions(order=("outer+1", "outer")),
    "global": FuseOptions(iteration=Iteration.GLOBAL),
    "lanes": FuseOptions(parallel=(("outer", 2),)),
    "tiles": FuseOptions(block=(("*", 3),)),
    "scheduled": FuseOptions(
        schedule=parse_schedule("reassociate on; for * { fifo 64; }; budget recompute=2;")
    ),
}


def stored(program: DataflowProgram) -> bytes:
    stream = io.BytesIO()
    write_artifact(Artifact(program), stream, limit=1 << 40)
    return stream.getvalue()


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> EinsumGraph:
    return import_case(zoo.build(request.param, MODELS[request.param]))


def test_every_model_of_the_zoo_is_tried() -> None:
    assert set(MODELS) == set(zoo.names())


@pytest.mark.parametrize("strategy", PRESETS)
@pytest.mark.parametrize("refinement", REFINEMENTS)
def test_a_program_compiled_from_its_own_schedule_is_the_same(
    model: EinsumGraph, strategy: Strategy, refinement: str
) -> None:
    first = fuse(model, replace(REFINEMENTS[refinement], strategy=strategy))
    again = fuse(model, FuseOptions(schedule=parse_schedule(first.schedule)))
    assert again.schedule == first.schedule
    assert again.notes == first.notes
    assert stored(again) == stored(first)
