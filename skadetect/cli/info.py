"""``skadetect info``: what a bug report needs to say."""

from __future__ import annotations

import math
import os
import platform
from importlib import metadata

import click

from skadetect import __version__

_PACKAGES = ("numpy", "numba", "scipy", "astropy", "dask", "distributed", "pandas", "pyarrow", "matplotlib")

#: (z, y, x) of the patch that a plan is shown for.
_PATCH_2D, _PATCH_3D = (1, 512, 512), (128, 64, 64)


@click.command()
@click.option("--plan", "model", metavar="MODEL", help="Show how the CPU does each layer of a model instead.")
def info(model: str | None) -> None:
    """Show versions, processors, thread pools and models."""
    from skadetect.nn.model import shipped_models

    if model is not None:
        click.echo(_plan(model))
        return

    rows = [
        ("skadetect", __version__),
        ("python", platform.python_version()),
        ("system", platform.platform()),
    ]
    rows += [(name, _version(name)) for name in _PACKAGES]
    rows += [("processors", f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} usable"), *_thread_pools()]
    rows += [("models", ", ".join(shipped_models()) or "none")]
    width = max(len(name) for name, _ in rows)
    click.echo("\n".join(f"{name:{width}}  {value}" for name, value in rows))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _thread_pools() -> list[tuple[str, str]]:
    """The BLAS that NumPy loaded and Numba's threads."""
    import numba
    import numpy as np
    from threadpoolctl import threadpool_info

    np.dot(np.ones((2, 2)), np.ones((2, 2)))  # a BLAS that is loaded late shows up after its first use
    pools = [
        (
            str(pool["user_api"]),
            f"{pool['internal_api']} {pool.get('version')}, {pool['num_threads']} threads",
        )
        for pool in threadpool_info()
    ]
    return [*pools, ("numba threads", f"{numba.config.NUMBA_NUM_THREADS}")]


def _plan(name: str) -> str:
    """The convolutions of a model on one patch: algorithm, and what the cost model expects of either."""
    from skadetect.nn.backends.cpu.plan import choose
    from skadetect.nn.model import Model

    model = Model.load(name)
    shape = (1, *(_PATCH_2D if model.head.ndim == 2 else _PATCH_3D))
    lines = [
        f"patch {shape[1]} x {shape[2]} x {shape[3]}; milliseconds that one core is expected to take",
        f"{'layer':12}{'filters':18}{'stride':12}{'features':14}{'GFLOP':>8}{'direct':>9}{'winograd':>10}",
    ]
    for layer, inputs, outputs in model.network.spec.walk():
        if not layer.spatial:
            continue
        ends = [
            (n + 2 * p - e) // s + 1
            for n, p, e, s in zip(shape[1:], layer.pads, layer.extent, layer.stride, strict=True)
        ]
        if layer.kind == "conv":
            filters = (*layer.extent, inputs // layer.groups, outputs // layer.groups)
            choice = choose((*shape, filters[3]), filters, layer.stride, layer.pads)
            work = 2e-9 * math.prod((*ends, *filters)) * layer.groups
            either = "".join(
                f"{1e3 * layer.groups * t:{w}.2f}" if t < math.inf else f"{'-':>{w}}"
                for t, w in ((choice.direct, 9), (choice.winograd, 10))
            )
            lines.append(
                f"{layer.name:12}{_by(layer.extent):18}{_by(layer.stride):12}{f'{inputs} > {outputs}':14}"
                f"{work:8.3f}{either}  {choice.algorithm}"
            )
        shape = (1, ends[0], ends[1], ends[2])
    return "\n".join(lines)


def _by(axes: tuple[int, int, int]) -> str:
    return " x ".join(map(str, axes))
