"""One BLAS thread inside each of Numba's: products run in parallel blocks, so BLAS itself must not fork."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache, wraps
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

F = TypeVar("F", bound=Callable[..., Any])


def single_blas_thread(function: F) -> F:
    """Run a function with BLAS held to one thread, and give the threads back afterwards."""

    @wraps(function)
    def limited(*args: Any, **kwargs: Any) -> Any:
        with one_blas_thread():
            return function(*args, **kwargs)

    return limited  # type: ignore[return-value]


def one_blas_thread() -> AbstractContextManager[Any]:
    """A context with BLAS held to one thread."""
    context: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return context


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    # Numba's np.dot calls the BLAS that SciPy brings, so that library must be loaded before the search.
    import scipy.linalg.cython_blas  # noqa: F401

    return ThreadpoolController()
