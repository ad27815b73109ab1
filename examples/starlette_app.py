"""A Starlette application with a job that runs every minute on its own event loop.

Run it with `uvicorn examples.starlette_app:app`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from num_agents.scheduler import Scheduler

prices: dict[str, int] = {}


async def refresh_prices() -> None:
    """Stands for a call to another service."""
    prices["apple"] = prices.get("apple", 0) + 1


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Runs the scheduler as long as the application."""
    async with Scheduler() as scheduler:
        scheduler.schedule("refresh prices", refresh_prices, interval=60)
        yield


async def show_prices(_: Request) -> JSONResponse:
    """Answers what was fetched last."""
    return JSONResponse(prices)


app = Starlette(routes=[Route("/prices", show_prices)], lifespan=lifespan)
