"""The examples run, each as its framework runs it."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parents[2] / "examples"
SECONDS = 10


def load(name: str) -> Any:
    """An example as a module."""
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    # What reads annotations looks the module up.
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fastapi() -> None:
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    example = load("fastapi_app")
    with TestClient(example.app) as client:
        task_id = client.post("/reminders/ada?seconds=0.02").json()["task_id"]
        assert client.get(f"/reminders/{task_id}").json()["status"] in ("pending", "completed")
        wait_until(lambda: client.get(f"/reminders/{task_id}").json()["status"] == "completed")
        assert example.sent == ["ada"]
        later = client.post("/reminders/bob?seconds=3600").json()["task_id"]
        assert client.delete(f"/reminders/{later}").json() == {"cancelled": True}
        assert client.get("/reminders/unknown").status_code == 404
    assert not example.scheduler.is_running


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_starlette() -> None:
    pytest.importorskip("starlette")
    from starlette.testclient import TestClient

    example = load("starlette_app")
    with TestClient(example.app) as client:
        wait_until(lambda: client.get("/prices").json() == {"apple": 1})


def test_aiohttp() -> None:
    pytest.importorskip("aiohttp")
    from aiohttp.test_utils import TestClient, TestServer

    example = load("aiohttp_app")

    async def main() -> None:
        async with TestClient(TestServer(example.make_app())) as client:
            response = await client.post("/add", json=[20, 22])
            assert await response.json() == {"sum": 42}

    asyncio.run(main())
