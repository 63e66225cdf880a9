# SPDX-License-Identifier: MIT
"""docs/reproduction.md, made from rows that are kept in the repository.

`publish` keeps the rows of one size; `make_page` writes the page from those of all sizes.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from tools.figures.cases import SIZES
from tools.figures.catalog import make_tables
from tools.figures.claims import contradictions, make_claims
from tools.figures.rows import Row, Status, row_from
from tools.figures.tables import Table, number, ratio, to_markdown

__all__ = ["PAGE", "make_page", "publish", "published_rows"]

_ROOT = Path(__file__).resolve().parents[2]
PAGE = _ROOT / "docs" / "reproduction.md"
DATA = _ROOT / "docs" / "reproduction"

# A quotient of cycles and floor beyond this is explained by what the kernel waits for.
_EXPLAINED = 1.5

_INTRODUCTION = """# Reproduction

What "FuseFlow" (ASPLOS'26, arXiv 2511.04768) reports, computed again by this importer, compiler and
simulator. This page is made by `python -m tools.figures --publish` from the rows in
`docs/reproduction`; no number on it is typed.

```sh
make figures                                           # smoke: about a minute
make figures FIGURES_SIZE=small FIGURES_ARGS="--graph cora=cora.npz"
make figures FIGURES_SIZE=paper FIGURES_ARGS="--only fig12 --match gpt"
```

A run says first how long it will take, stores a row per finished case under `out/figures`, goes on
where it was stopped, and records what it leaves out. Graphs are read from files that you name, in
the form that the [user guide](user-guide.md#models-that-come-along) describes, and never
downloaded.

How to read the tables:

- *Kind* says what the input is: `real`; `exact-synthetic`, made as the paper defines it;
  `stand-in`, a seeded graph with the counts of a data set, called "-like"; `reduced`, by the stated
  scale. Published numbers are compared by number only with `real` and `exact-synthetic` rows, where
  within 25 % is agreement; elsewhere only the direction is.
- *Floor* is a closed form: every unit handles one token per cycle, kernels run one after the other.
  It knows extents and counts of entries, and nothing of the compiler or the simulator. A row whose
  cycles fall below it is an error and voids the run.
- Every result was compared with PyTorch, at the tolerance of `ff-sim --check`; intermediate results
  are those that earlier kernels really wrote. Only rows with status `ok` count.
- Memory is ideal unless a row says otherwise. The paper's text speaks of HBM2; the artifact's
  figure 12 was run without its memory option, which is a queue of fixed latency.
- Weights of GCN and GraphSAGE are 0.4 dense, as the artifact generates them; its scripts ask for
  0.5, and the paper's text implies 1. Cora is shown with all three.
"""

_UNTESTED = """## Not tested

- Figure 1 (utilization of a GPU) and figure 13 (against an FPGA): no such hardware here.
- The real Cora-ML, DBLP, OGB-Collab and OGB-MAG: no files at hand, so they are stand-ins. The
  paths of two edges of Cora-ML and DBLP were solved from the artifact's own constants, so agreement
  of their full fusion is calibration, not evidence; those of MAG are unknown, so two are shown. No
  agreement is claimed on absolute cycles of DBLP, Collab and MAG.
- That structure helps by locality (figure 15): it could show only with a cache.
- How the paper counts loop orders (table 4), which expressions its rewriting reaches (figure 4b),
  and what "block size" means (figure 17) is not stated; the reading that is used stands with each.
- The constants of the artifact for the autoencoders contradict the paper's text and fit operands of
  a toy size: they are not used. Its constant of GraphSAGE on MAG, fully fused, has its last ten
  digits in common with the unfused one: it is shown, and not relied on.
"""

_COLUMNS = {
    "fig12": ("model", "input", "kind", "scale", "density", "accumulators", "fusion", "cycles",
              "floor", "cycles / floor", "speed-up", "paper", "verdict", "status"),
    "fig14": ("input", "kind", "scale", "fusion", "FLOPs / unfused", "bytes / unfused",
              "bytes (artifact) / unfused", "paper FLOPs / unfused", "paper bytes / unfused"),
}  # fmt: skip


def publish(rows: Sequence[Row], size: str) -> Path:
    """Keep the rows of a size in the repository and write the page anew; return the file."""
    DATA.mkdir(parents=True, exist_ok=True)
    path = DATA / f"{size}.jsonl"
    lines = [json.dumps(_shortened(row), sort_keys=True) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines))
    PAGE.write_text(make_page(published_rows()))
    return path


def published_rows() -> dict[str, list[Row]]:
    """Return the rows that are kept in the repository, by size."""
    kept = {}
    for size in SIZES:
        path = DATA / f"{size}.jsonl"
        if path.exists():
            kept[size] = [row_from(json.loads(line)) for line in path.read_text().splitlines()]
    return kept


def make_page(kept: dict[str, list[Row]]) -> str:
    """Return the page; where two sizes have the same case, the larger size speaks."""
    rows = list({row.case: row for size in SIZES for row in kept.get(size, [])}.values())
    tables = [_narrowed(table) for table in make_tables(rows)]
    parts = [
        _INTRODUCTION,
        "## What was found\n",
        _sources(kept),
        _claims(rows),
        "## Exceptions\n\nRows of figure 12 that point the other way than the paper, or differ by "
        "more than 25 %:\n",
        "".join(f"- {line}\n" for line in contradictions(rows)) or "None.\n",
        "## Far above the floor\n\nWhat the busiest unit of a kernel waits for, where cycles are "
        f"more than {_EXPLAINED} times the floor; with a memory model, for memory. Loop orders of "
        "figure 18 are left out: their floor knows nothing of recomputation.\n",
        _explanations(rows),
        "## Tables\n",
        *map(to_markdown, tables),
        _UNTESTED,
    ]
    return "\n".join(parts)


def _shortened(row: Row) -> dict[str, object]:
    """Return what the page needs of a row: kernels only where they are looked at one by one."""
    explains = row.ratio is not None and row.ratio > _EXPLAINED and "fig18" not in row.figures
    stands_for_others = (row.model, row.config) == ("gcn", "unfused") and "fig12" in row.figures
    keeps_kernels = explains or stands_for_others
    found = dataclasses.asdict(row)
    if not keeps_kernels:
        found["kernels"] = ()
    defaults = {field.name: field.default for field in dataclasses.fields(Row)}
    return {name: value for name, value in found.items() if value != defaults[name]}


def _narrowed(table: Table) -> Table:
    """Leave out columns that would make a table too wide to read."""
    wanted = _COLUMNS.get(table.name)
    if wanted is None:
        return table
    places = [table.columns.index(name) for name in wanted]
    lines = tuple(tuple(line[place] for place in places) for line in table.lines)
    return dataclasses.replace(table, columns=wanted, lines=lines)


def _sources(kept: dict[str, list[Row]]) -> str:
    lines = []
    for size, rows in kept.items():
        counts = {status: sum(row.status is status for row in rows) for status in Status}
        stated = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        hours = sum(row.wall_s for row in rows) / 3600
        lines.append(
            f"- {size}: {len(rows)} cases ({stated}), {hours:.1f} hours on a shared machine"
        )
    return "\n".join(lines) + "\n"


def _claims(rows: Sequence[Row]) -> str:
    lines = ["| item | paper | here | verdict |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {claim.item} | {claim.published} | {claim.found} | {claim.verdict} |"
        for claim in make_claims(rows)
    ]
    return "\n".join(lines) + "\n"


def _explanations(rows: Sequence[Row]) -> str:
    lines = ["| case | kernel | runs | cycles | floor | cycles / floor | busiest unit | it waits |",
             "| --- | --- | ---: | ---: | ---: | ---: | --- | ---: |"]  # fmt: skip
    for row in rows:
        for kernel in row.kernels:
            quotient = kernel.cycles / kernel.floor if kernel.floor else 0.0
            if row.ratio is not None and row.ratio > _EXPLAINED < quotient:
                lines.append(
                    f"| {row.case} | {kernel.name} | {kernel.runs} | {number(kernel.cycles)} | "
                    f"{number(kernel.floor)} | {ratio(quotient)} | {kernel.critical} | "
                    f"{100 * kernel.stalled_share:.0f} % |"
                )
    return "\n".join(lines) + "\n" if len(lines) > 2 else "None.\n"
