# SPDX-License-Identifier: MIT
"""Graphs that are too large for a dense adjacency matrix: traced small, run at their size.

An import keeps dense tensors, and one of 235,868 x 235,868 fits nowhere. The einsums of a graph
network do not depend on the number of nodes, so the model is imported on a small graph and the
real operands are put in, with the outputs that PyTorch computes from the sparse adjacency.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.tensor import tensor_from_coordinates, tensor_from_dense
from fuseflow.ir.verify_einsum import verify_einsum_graph
from fuseflow.models.case import ModelCase
from fuseflow.models.graph_inputs import GraphInputs
from fuseflow.models.power_law import power_law_graph

__all__ = ["TRACED_NODES", "grow", "small_inputs"]

# A prime that is no extent of a model, so that it marks the dimensions that are nodes.
TRACED_NODES = 61


def small_inputs(inputs: GraphInputs) -> GraphInputs:
    """Return a small graph with features of the same width, to trace a model on."""
    graph = power_law_graph(TRACED_NODES, 4 * TRACED_NODES, 0)
    features = np.resize(inputs.features, (TRACED_NODES, inputs.width))
    return replace(inputs, graph=graph, features=features)


def grow(traced: EinsumGraph, case: ModelCase, inputs: GraphInputs) -> EinsumGraph:
    """Put the operands of `inputs` into a graph that was imported from `small_inputs`, in place.

    Raises:
        GraphError: if the result breaks a rule of the verifier.
    """
    nodes = inputs.graph.nodes

    def resized(shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(nodes if extent == TRACED_NODES else extent for extent in shape)

    for value in traced.values.values():
        value.shape = resized(value.shape)
    features, adjacency = traced.values["x"], traced.values["adj"]
    features.tensor = tensor_from_dense(inputs.features, features.format)
    pattern = inputs.graph
    entries = np.stack((pattern.rows, pattern.indices), axis=1)
    ones = np.ones(pattern.entries, dtype=np.float32)
    assert adjacency.format is not None
    adjacency.tensor = tensor_from_coordinates((nodes, nodes), entries, ones, adjacency.format)
    reference = _run(case, inputs)
    traced.outputs[:] = [
        replace(output, shape=resized(output.shape), reference=reference)
        for output in traced.outputs
    ]
    verify_einsum_graph(traced)
    return traced


def _run(case: ModelCase, inputs: GraphInputs) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return what the module computes from the real operands, the adjacency as a sparse tensor."""
    import torch

    pattern = inputs.graph
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", UserWarning)  # compressed layouts are in beta, it says
        adjacency = torch.sparse_csr_tensor(
            torch.from_numpy(pattern.indptr),
            torch.from_numpy(pattern.indices),
            torch.ones(pattern.entries),
            size=(pattern.nodes, pattern.nodes),
        )
        result: torch.Tensor = case.module(torch.from_numpy(inputs.features), adjacency)
    return np.asarray(result.numpy(), dtype=np.float32)
