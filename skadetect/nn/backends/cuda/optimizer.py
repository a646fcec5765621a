"""Steps of an optimizer over all parameters as one vector. See `skadetect.descent` for the formulas.

What a step needs to know of the gradients, their norm and whether all are finite, stays on the device: one
kernel leaves it in `control`, the others read it there.
"""

from __future__ import annotations

import math
from typing import Any

from skadetect.descent import adam_move, clip_factor, momentum_move, towards
from skadetect.nn.backends.cuda.device import cuda, float32, float64
from skadetect.nn.backends.cuda.elementwise import THREADS, first_index, stride

#: What `control` holds: the norm, the factor on gradients that undoes loss scaling and clips, and whether the
#: step is made (1 or 0).
NORM, FACTOR, MADE, CONTROL = 0, 1, 2, 3


def make_square_sums() -> Any:
    """Kernel: (x, shares, count) each block's sum of squares, in an order that only the count decides."""

    def square_sums(x: Any, shares: Any, count: Any) -> None:
        kept = cuda.shared.array(THREADS, float64)
        thread, total = cuda.threadIdx.x, float64(0)
        for i in range(first_index(), count, stride()):
            value = float64(x[i])
            total += value * value
        kept[thread] = total
        cuda.syncthreads()
        half = THREADS // 2
        while half > 0:
            if thread < half:
                kept[thread] += kept[thread + half]
            cuda.syncthreads()
            half //= 2
        if thread == 0:
            shares[cuda.blockIdx.x] = kept[0]

    return square_sums


def make_control() -> Any:
    """Kernel: (shares, control, blocks, factor, clip); the gradients are to be multiplied by factor first."""

    def decide(shares: Any, control: Any, blocks: Any, factor: Any, clip: Any) -> None:
        if first_index() == 0:
            total = float64(0)
            for block in range(blocks):
                total += shares[block]
            norm = math.sqrt(total) * factor
            control[NORM] = norm
            control[FACTOR] = factor * clip_factor(norm, clip)
            control[MADE] = 1.0 if math.isfinite(total) else 0.0

    return decide


def make_adamw() -> Any:
    """Kernel: (weights, gradients, first, second, control, kept, rate, share, square_share, spread, epsilon,
    decayed, count); the first `decayed` weights are.
    """

    def adamw(
        weights: Any, gradients: Any, first: Any, second: Any, control: Any, kept: Any, rate: Any, share: Any,
        square_share: Any, spread: Any, epsilon: Any, decayed: Any, count: Any,
    ) -> None:  # fmt: skip
        if control[MADE] == 0.0:
            return
        factor = float32(control[FACTOR])
        for i in range(first_index(), count, stride()):
            gradient = gradients[i] * factor
            weight = weights[i] * kept if i < decayed else weights[i]
            first[i] = towards(first[i], gradient, share)
            second[i] = towards(second[i], gradient * gradient, square_share)
            root = float32(math.sqrt(second[i]))
            weights[i] = adam_move(weight, first[i], root, rate, spread, epsilon)

    return adamw


def make_momentum(nesterov: bool) -> Any:
    """Kernel: (weights, gradients, velocities, control, kept, rate, momentum, decayed, count)."""

    def momentum_step(
        weights: Any, gradients: Any, velocities: Any, control: Any, kept: Any, rate: Any, momentum: Any,
        decayed: Any, count: Any,
    ) -> None:  # fmt: skip
        if control[MADE] == 0.0:
            return
        factor = float32(control[FACTOR])
        for i in range(first_index(), count, stride()):
            gradient = gradients[i] * factor
            weight = weights[i] * kept if i < decayed else weights[i]
            velocity = momentum * velocities[i] + gradient
            velocities[i] = velocity
            weights[i] = momentum_move(weight, gradient, velocity, rate, momentum, nesterov)

    return momentum_step


def make_average() -> Any:
    """Kernel: (weights, sums, control, kept, share, count) the average's sums, in float64."""

    def average(weights: Any, sums: Any, control: Any, kept: Any, share: Any, count: Any) -> None:
        if control[MADE] == 0.0:
            return
        for i in range(first_index(), count, stride()):
            sums[i] = sums[i] * kept + float64(share * weights[i])

    return average


def make_follow() -> Any:
    """Kernel: (values, found, share, start, count) values move by a share of the way to what was found."""

    def follow(values: Any, found: Any, share: Any, start: Any, count: Any) -> None:
        for i in range(start + first_index(), count, stride()):
            values[i] = towards(values[i], found[i], share)

    return follow
