"""The loss of a network's outputs on a device: which box answers for which target, terms and gradient.

The formulas are those of `skadetect.matching` and `skadetect.box_loss`. A box is told by its flat index over
(patch, cell, box of the cell). What several threads may write at one place is the same whoever comes last.
"""

from __future__ import annotations

from typing import Any

from skadetect.box_loss import TERMS, LossSettings, background_loss, matched_loss
from skadetect.formulas import overlap
from skadetect.matching import BACKGROUND, IGNORED, NEAR, cell_seed, decode_box, match_cell, window_cell
from skadetect.nn.backends.cuda.device import cuda, float32, float64, int32
from skadetect.nn.backends.cuda.elementwise import THREADS, first_index, stride

#: Terms that the threads of a block keep.
KEPT = THREADS * TERMS


def make_predict() -> Any:
    """Kernel: (outputs, cells, priors, geometry, boxes, target, quality, width, count) boxes, free so far."""

    def predict(
        outputs: Any, cells: Any, priors: Any, geometry: Any, boxes: Any, target: Any, quality: Any,
        width: Any, count: Any,
    ) -> None:  # fmt: skip
        n_boxes, n_cells = priors.shape[0], cells.shape[0]
        for i in range(first_index(), count, stride()):
            cell, prior = cells[i // n_boxes % n_cells], priors[i % n_boxes]
            decode_box(outputs[i * width : (i + 1) * width], cell, prior, geometry, boxes[i])
            target[i], quality[i] = int32(BACKGROUND), float32(0)

    return predict


def make_ignore() -> Any:
    """Kernel: (boxes, true, patch, low, extent, shape, target, limit, kind, n_boxes, n_cells), a block a
    target: boxes of its window that overlap it by more than the limit.
    """

    def ignore(
        boxes: Any, true: Any, patch: Any, low: Any, extent: Any, shape: Any, target: Any, limit: Any,
        kind: Any, n_boxes: Any, n_cells: Any,
    ) -> None:  # fmt: skip
        t = cuda.blockIdx.x
        steps = n_boxes
        for k in range(shape.shape[0]):
            steps *= extent[t, k]
        for step in range(cuda.threadIdx.x, steps, cuda.blockDim.x):
            flat = window_cell(step // n_boxes, low[t], extent[t], shape)
            i = (patch[t] * n_cells + flat) * n_boxes + step % n_boxes
            if overlap(kind, true[t], boxes[i]) > limit:
                target[i] = int32(IGNORED)

    return ignore


def make_match() -> Any:
    """Kernel: (boxes, true, difficult, cell, first, members, priors, limits, overlaps, left, free, state,
    target, quality, matched, kind, by_overlap, startup, seed, n_cells, count), a thread an occupied cell.
    """

    def match(
        boxes: Any, true: Any, difficult: Any, cell: Any, first: Any, members: Any, priors: Any, limits: Any,
        overlaps: Any, left: Any, free: Any, state: Any, target: Any, quality: Any, matched: Any,
        kind: Any, by_overlap: Any, startup: Any, seed: Any, n_cells: Any, count: Any,
    ) -> None:  # fmt: skip
        n_boxes = priors.shape[0]
        rules = (kind, by_overlap != 0, startup != 0, limits, seed)
        for c in range(first_index(), count, stride()):
            begin, end, flat = first[c], first[c + 1], cell[c]
            for m in range(begin, end):
                for b in range(n_boxes):
                    predicted = boxes[flat * n_boxes + b]
                    overlaps[m * n_boxes + b] = overlap(kind, true[members[m]], predicted)
            state[c] = cell_seed(seed, flat // n_cells, flat % n_cells)
            scratch = (state[c : c + 1], left[begin:end], free[c * n_boxes : (c + 1) * n_boxes])
            mine = slice(flat * n_boxes, (flat + 1) * n_boxes)
            found = match_cell(
                overlaps[begin * n_boxes : end * n_boxes], members[begin:end], (true, difficult), priors,
                rules, scratch, target[mine], quality[mine],
            )  # fmt: skip
            cuda.atomic.add(matched, 0, int32(found))

    return match


def make_near() -> Any:
    """Kernel: (cells, target, n_boxes, count) what is background in these cells is next to a target."""

    def near(cells: Any, target: Any, n_boxes: Any, count: Any) -> None:
        for i in range(first_index(), count, stride()):
            box = cells[i // n_boxes] * n_boxes + i % n_boxes
            if target[box] == BACKGROUND:
                target[box] = int32(NEAR)

    return near


def make_terms() -> Any:
    """Kernel: (outputs, target, quality, cells, boxes, parameters, class_index, weight, priors, geometry,
    eight arrays of settings, matched, gradient, shares, divisor, classes, overlap_kind, overlap_target,
    width, count); each block leaves its share of the terms. Divisor 0 is the number of matched boxes.
    """

    def terms_of(
        outputs: Any, target: Any, quality: Any, cells: Any,
        boxes: Any, parameters: Any, class_index: Any, weight: Any,
        priors: Any, geometry: Any, kinds: Any, weights: Any, limits: Any, binary_range: Any, background: Any,
        parameter_kinds: Any, gamma: Any, tolerance: Any, matched: Any, gradient: Any, shares: Any,
        divisor: Any, classes: Any, overlap_kind: Any, overlap_target: Any, width: Any, count: Any,
    ) -> None:  # fmt: skip
        scaled = cuda.shared.array(TERMS, float64)
        kept = cuda.shared.array(KEPT, float64)
        thread = cuda.threadIdx.x
        terms = kept[thread * TERMS : (thread + 1) * TERMS]
        for k in range(TERMS):
            terms[k] = 0.0
        if thread < TERMS:
            scaled[thread] = weights[thread] / (divisor if divisor > 0.0 else max(float64(matched[0]), 1.0))
        cuda.syncthreads()
        settings = LossSettings(
            kinds, scaled, limits, binary_range, background, parameter_kinds, gamma, tolerance,
            overlap_kind, overlap_target != 0,
        )  # fmt: skip
        truth, layout = (boxes, parameters, class_index, weight), (priors, geometry, classes)
        n_boxes, n_cells = priors.shape[0], cells.shape[0]
        for i in range(first_index(), count, stride()):
            row = slice(i * width, (i + 1) * width)
            values, grad = outputs[row], gradient[row]
            for k in range(width):
                grad[k] = float32(0)
            t, b = target[i], i % n_boxes
            if t >= 0:
                place = (cells[i // n_boxes % n_cells], b)
                matched_loss(values, (t, quality[i]), place, truth, layout, settings, grad, terms)
            elif t != IGNORED:
                factor = background[1 if t == NEAR else 0, b]
                background_loss(values, factor, priors.shape[1], settings, grad, terms)
        cuda.syncthreads()
        if thread < TERMS:
            total = 0.0
            for other in range(THREADS):
                total += kept[other * TERMS + thread]
            shares[cuda.blockIdx.x * TERMS + thread] = total

    return terms_of


def make_merge_terms() -> Any:
    """Kernel: (shares, matched, terms, blocks) sums of all shares, in their order; then the matched boxes."""

    def merge(shares: Any, matched: Any, terms: Any, blocks: Any) -> None:
        k = first_index()
        if k < TERMS:
            total = 0.0
            for block in range(blocks):
                total += shares[block * TERMS + k]
            terms[k] = total
        if k == TERMS:
            terms[k] = float64(matched[0])

    return merge
