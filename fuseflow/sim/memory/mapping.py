# SPDX-License-Identifier: MIT
"""Where a line lies in a DRAM: its channel, bank and row, by the order of the address fields."""

from __future__ import annotations

from fuseflow.ir.hardware import Hbm2Config

__all__ = ["FIELDS", "AddressFields"]

FIELDS = ("row", "bank", "col", "chan")
"""Fields of an address; only the row, which comes first, has no bound."""


class AddressFields:
    """The fields of addresses; `Hbm2Config.map` names them, the most significant one first.

    With `map="row:bank:col:chan"` consecutive lines lie in consecutive channels.
    """

    def __init__(self, config: Hbm2Config) -> None:
        sizes = {
            "chan": config.channels,
            "col": config.row_bytes // config.line_bytes,
            "bank": config.banks,
        }
        names = config.map.split(":")[1:]
        self._fields = [(name, sizes[name]) for name in reversed(names)]
        self._config = config

    def place(self, address: int) -> tuple[int, int, int]:
        """Return channel, bank and row of the line at a byte address."""
        row = address // self._config.line_bytes
        place: dict[str, int] = {}
        for name, size in self._fields:
            row, place[name] = divmod(row, size)
        bank = place["bank"]
        if self._config.bank_xor:
            bank = (bank + row) % self._config.banks
        return place["chan"], bank, row
