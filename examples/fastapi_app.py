"""A FastAPI application that schedules coroutines on its own event loop.

Run it with `uvicorn examples.fastapi_app:app`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException

from num_agents.scheduler import RetryPolicy, Scheduler

scheduler = Scheduler()
sent: list[str] = []


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Runs the scheduler as long as the application."""
    async with scheduler:
        yield


app = FastAPI(lifespan=lifespan)


async def send_reminder(user: str) -> str:
    """Stands for a call to a mail service."""
    sent.append(user)
    return f"sent to {user}"


@app.post("/reminders/{user}")
async def remind(user: str, seconds: float) -> dict[str, str]:
    """Schedules a reminder."""
    task_id = scheduler.schedule(
        "reminder",
        send_reminder,
        delay=seconds,
        args=(user,),
        retry=RetryPolicy(attempts=5, on=OSError),
    )
    return {"task_id": task_id}


@app.get("/reminders/{task_id}")
async def look(task_id: str) -> dict[str, str]:
    """Says what has become of a reminder."""
    task = scheduler.get_task(task_id)
    if task is None:
        raise HTTPException(404)
    return {"status": task.status}


@app.delete("/reminders/{task_id}")
async def forget(task_id: str) -> dict[str, bool]:
    """Cancels a reminder."""
    return {"cancelled": scheduler.cancel_task(task_id)}
