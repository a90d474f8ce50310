"""The published FastAPI application (an async view), and an endpoint that all contenders share."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def hello() -> dict[str, str]:
    """Return the published answer."""
    return {"message": "Hello World"}


@app.get("/json")
async def message() -> dict[str, str]:
    """Return the answer that is the same for all contenders."""
    return {"message": "Hello World"}
