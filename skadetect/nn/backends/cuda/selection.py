"""Which boxes of a network's output reach a threshold: only those leave the device."""

from __future__ import annotations

from typing import Any

from skadetect.nn.backends.cuda.device import cuda, ops
from skadetect.nn.backends.cuda.elementwise import first_index, stride
from skadetect.nn.backends.cuda.numbers import reader


def make_select(precision: str) -> Any:
    """Kernel: (outputs, limits, found, index, rows, boxes, width, place, room, count).

    Row i of the outputs (`width` numbers, `boxes` rows a cell) is copied if its number at `place` reaches the
    limit of its box. found[0] counts all; what does not fit into `room` rows is only counted.
    """
    read = reader(precision)

    def select(
        outputs: Any,
        limits: Any,
        found: Any,
        index: Any,
        rows: Any,
        boxes: Any,
        width: Any,
        place: Any,
        room: Any,
        count: Any,
    ) -> None:
        source = ops.address(outputs)
        for i in range(first_index(), count, stride()):
            if read(source, i * width + place) >= limits[i % boxes]:
                slot = cuda.atomic.add(found, 0, 1)
                if slot < room:
                    index[slot] = i
                    for k in range(width):
                        rows[slot * width + k] = read(source, i * width + k)

    return select
