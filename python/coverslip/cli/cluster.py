"""Finds the workers of a Dask scheduler."""

from concurrent.futures import Executor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from coverslip.archive.many import core_count
from coverslip.errors import PolicyError

if TYPE_CHECKING:
    from distributed import Client


def client_of(address: str | None, stack: ExitStack) -> "Client | None":
    """Return a client of a Dask scheduler, ``None`` for processes of this machine."""
    if address is None:
        return None
    try:
        from distributed import Client
    except ImportError:
        raise PolicyError(
            "--scheduler needs Dask Distributed", hint="pip install 'coverslip[dask]'"
        ) from None
    try:
        client: Client = stack.enter_context(Client(address, timeout=20))  # type: ignore[no-untyped-call]
    except (OSError, ValueError):
        raise PolicyError(
            "no Dask scheduler answers at the address", hint="such as tcp://HOST:8786"
        ) from None
    return client


def executor_of(client: "Client") -> Executor:
    """Return what gives slides to the workers of a client."""
    executor: Executor = client.get_executor(pure=False, retries=0)  # type: ignore[no-untyped-call]
    return executor


def jobs_of(client: "Client | None") -> int:
    """Return how many slides may be in work at a time: cores here, threads of the workers there."""
    if client is None:
        return core_count()
    threads: dict[str, int] = client.nthreads()  # type: ignore[no-untyped-call]
    return max(sum(threads.values()), 1)
