"""``skadetect info``: what a bug report needs to say."""

from __future__ import annotations

import os
import platform
from importlib import metadata

import click

from skadetect import __version__

_PACKAGES = ("numpy", "numba", "scipy", "astropy", "dask", "distributed", "pandas", "pyarrow", "matplotlib")


@click.command()
def info() -> None:
    """Show versions, processors, thread pools and models."""
    from skadetect.nn.model import shipped_models

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
