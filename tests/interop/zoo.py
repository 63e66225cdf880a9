"""The reference models in small, imported once each."""

from functools import cache

import pytest

from fuseflow.ir.einsum import EinsumGraph

pytest.importorskip("torch")

GRAPH = {"graph": "powerlaw", "nodes": "24", "features": "8", "hidden": "4"}
MODELS = {
    "gcn": GRAPH,
    "graphsage": GRAPH,
    "sae": {"input": "16", "hidden": "8", "batch": "3"},
    "gpt": {"seq": "16", "dim": "8", "heads": "2", "ffn": "16", "block": "4"},
}


@cache
def graph_of(name: str) -> EinsumGraph:
    from fuseflow.cli.sources import import_case
    from fuseflow.models import zoo

    return import_case(zoo.build(name, MODELS[name]))
