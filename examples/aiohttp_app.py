"""An aiohttp application that schedules coroutines on its own event loop.

Run it with `python -m aiohttp.web examples.aiohttp_app:make_app`.
"""

from collections.abc import AsyncIterator

from aiohttp import web

from num_agents.scheduler import Scheduler

SCHEDULER = web.AppKey("scheduler", Scheduler)


async def run_scheduler(app: web.Application) -> AsyncIterator[None]:
    """Runs a scheduler as long as the application."""
    async with Scheduler() as app[SCHEDULER]:
        yield


async def add(first: int, second: int) -> int:
    """Stands for something that takes its time."""
    return first + second


async def add_later(request: web.Request) -> web.Response:
    """Schedules a sum, and answers when it is there."""
    numbers = await request.json()
    scheduler = request.app[SCHEDULER]
    task_id = scheduler.schedule("add", add, delay=0.01, args=numbers)
    return web.json_response({"sum": await scheduler.result_async(task_id, timeout=5)})


def make_app(_: list[str] | None = None) -> web.Application:
    """The application."""
    app = web.Application()
    app.cleanup_ctx.append(run_scheduler)
    app.router.add_post("/add", add_later)
    return app
