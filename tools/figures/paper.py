# SPDX-License-Identifier: MIT
"""Published numbers of "FuseFlow" (ASPLOS'26), to stand beside ours and never in their place.

Two sources, kept apart: what the text and the tables of the paper say (arXiv 2511.04768), and the
constants in the plotting scripts of its public artifact, which stand for bars of its figures.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "FIGURE_4B_SPEEDUPS",
    "FIGURE_12_CYCLES",
    "FIGURE_12_TEXT",
    "FIGURE_14_COUNTS",
    "FIGURE_16_CYCLES",
    "FIGURE_17_FACTORS",
    "FIGURE_18_SPREAD",
    "TABLE_3_ERRORS",
    "TABLE_4_ORDERS",
    "figure_12_speedups",
]

# Artifact, script of figure 12: cycles unfused, partial, full. Not given here: the autoencoders,
# whose constants contradict the text and fit operands of a toy size.
FIGURE_12_CYCLES: Mapping[tuple[str, str], tuple[int, int, int]] = {
    ("gcn", "cora"): (48_998_261, 29_997_611, 166_361_105),
    ("gcn", "cora_ml"): (115_435_265, 61_259_360, 842_383_059),
    ("gcn", "dblp"): (934_042_655, 627_775_406, 3_589_346_391),
    ("gcn", "collab"): (1_056_927_396, 409_951_944, 55_634_377_783),
    ("gcn", "mag"): (16_012_893_504, 7_505_550_758, 185_792_502_899),
    ("graphsage", "cora"): (79_355_629, 37_798_698, 166_361_105),
    ("graphsage", "cora_ml"): (183_474_564, 99_243_656, 842_388_679),
    ("graphsage", "dblp"): (1_269_087_780, 627_775_394, 3_589_346_391),
    ("graphsage", "collab"): (1_569_940_814, 505_455_837, 55_634_376_841),
    ("graphsage", "mag"): (29_409_284_934, 7_505_550_758, 849_409_284_934),
    ("gpt", "16"): (98_511_714_108, 56_340_821_076, 36_439_754_748),
    ("gpt", "32"): (99_652_522_812, 60_497_286_996, 40_596_220_668),
    ("gpt", "64"): (102_275_175_360, 60_497_286_996, 40_596_220_668),
}

# Text: speed-ups over unfused, partial and full.
FIGURE_12_TEXT: Mapping[str, tuple[float, float]] = {"sae": (1.01, 1.94)}

# Text: GCN on OGB-Collab, over unfused: after rewriting by hand, and FuseFlow.
FIGURE_4B_SPEEDUPS = {"C+S": 1.97, "FuseFlow": 2.63}

# Artifact, script of figure 14: (FLOPs, memory elements) of GCN under full, layer 1, layer 2,
# both (partial), none (unfused). A memory element has 4 bytes.
FIGURE_14_COUNTS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    name: dict(
        zip(("full", "layer 1", "layer 2", "partial", "unfused"), zip(*both, strict=True),
            strict=True)
    )
    for name, both in {
        "cora_ml": (
            (2_477_724_772, 240_329_975, 292_489_512, 240_409_687, 292_409_800),
            (3_422_625_009, 305_549_531, 493_297_493, 305_123_333, 493_723_691),
        ),
        "dblp": (
            (9_901_253_852, 841_903_789, 844_201_668, 842_146_612, 843_958_845),
            (13_815_099_378, 1_046_957_403, 1_339_169_398, 1_045_331_819, 1_340_794_982),
        ),
        "collab": (
            (25_541_873_568, 1_377_303_232, 1_371_642_400, 1_374_944_552, 1_374_001_080),
            (34_440_972_179, 1_750_798_916, 2_156_020_138, 1_729_099_055, 2_177_719_999),
        ),
    }.items()
}  # fmt: skip

# Artifact, script of figure 15b (the paper's 16b): attention, lanes on (level 1, level 2).
FIGURE_16_CYCLES: Mapping[tuple[int, int], int] = {
    (1, 1): 806_101_226,
    (2, 1): 403_087_023,
    (1, 2): 403_054_894,
    (4, 1): 201_560_883,
    (1, 4): 201_531_826,
    (4, 4): 50_390_209,
}

# Text: "proportional to the block size"; read as the edge of a block, or as its area.
FIGURE_17_FACTORS = {"edge": (16, 32, 64), "area": (256, 1024, 4096)}

# Text: worst over best loop order of (A B) C on the karate club.
FIGURE_18_SPREAD = 29.0

# Table 3: mean error of the estimator in percent, FLOPs and bytes.
TABLE_3_ERRORS: Mapping[str, tuple[float, float]] = {
    "gpt": (1.8, 5.7),
    "gcn": (2.8, 9.6),
    "graphsage": (2.6, 11.5),
}

# Table 4: loop orders without and with constraints.
TABLE_4_ORDERS: Mapping[str, tuple[float, float]] = {
    "gcn": (2.0e8, 6.3e7),
    "graphsage": (3.9e7, 1.1e3),
}


def figure_12_speedups(model: str, name: str) -> tuple[float, float] | None:
    """Return the published speed-ups over unfused, partial and full, if there are any.

    `name` is that of a data set, or the block of a decoder at full size.
    """
    cycles = FIGURE_12_CYCLES.get((model, name))
    if cycles is not None:
        unfused, partial, full = cycles
        return unfused / partial, unfused / full
    return FIGURE_12_TEXT.get(model)
