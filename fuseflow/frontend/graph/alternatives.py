# SPDX-License-Identifier: MIT
"""What a user can do about an operator that is not supported: the nearest thing that is.

Operators of both frameworks are looked up by their name in lower case, without namespace and
punctuation, so that one row serves `aten.max_pool2d` and `MaxPool`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

__all__ = ["alternative"]

_REST = "import what comes before it with --allow-partial"
_WINDOW = f"use Linear on unfolded patches: windows that overlap are no einsum; or {_REST}"
_POOL = f"reduce a reshaped dimension with amax or mean, if windows do not overlap; or {_REST}"
_ORDER = "decide the order outside of the model, and pass it in as an input of integers"
_PICK = "pass the positions in as an input of integers, and bind it"
_DRAW = "draw random numbers outside of the model, and pass them in"
_STEPS = "write the steps out with Linear, sigmoid and tanh, for a fixed number of them"
_BRANCH = "decide outside of forward, or choose elements with torch.where"
_SPARSE = "build sparse tensors outside of forward, as inputs or buffers"
_SIZES = "resize by whole factors with expand and reshape"

# The first pattern that is found in the name decides.
_ADVICE = (
    (r"^conv|convolution|im2col|unfold", _WINDOW),
    (r"pool", _POOL),
    (r"sparse", _SPARSE),
    (r"cumsum|cumulative", "multiply by a constant triangle: torch.ones(n, n).tril() @ x"),
    (r"sort|topk|argmax|argmin|median|mode$|kthvalue", _ORDER),
    (r"nonzero|unique|masked_?select|bucketize|searchsorted|item|compress", _PICK),
    (r"gather|index_?put|scatter|take", _PICK),
    (r"rand|bernoulli|multinomial|uniform", _DRAW),
    (r"lstm|gru|rnn", _STEPS),
    (r"^cond|while|^if$|loop|^scan", _BRANCH),
    (r"upsample|resize|interpolate|gridsample|grid_sampler", _SIZES),
    (r"loss|crossentropy", "import the model without its loss"),
    (r"quant|int8|fp8", "export in float32"),
    (r"lrn", "use layer_norm, or batch_norm in eval mode"),
    (r"dropout", "put the model in eval mode before it is exported"),
    (r"fft|stft|dft", "multiply by a constant matrix of the transform"),
    (r"floor|ceil|round|sign|trunc|fmod|remainder|mod$", "compute it outside of the model"),
)  # fmt: skip


def alternative(operator: str, supported: Iterable[str]) -> str:
    """Return advice on an operator: what to use in its place, else what has the nearest name."""
    name = operator.rpartition(".")[2].rpartition("::")[2].partition(" ")[0]
    key = re.sub(r"[^a-z0-9_]", "", name.lower())
    for pattern, advice in _ADVICE:
        if re.search(pattern, key) or re.search(pattern, key.replace("_", "")):
            return advice
    plain = {each.lower().strip("_"): each for each in sorted(supported)}
    near = difflib.get_close_matches(key.strip("_"), plain, n=1, cutoff=0.6)
    return f"the supported operator with the nearest name is {plain[near[0]]}" if near else _REST
