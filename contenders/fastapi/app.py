"""The published FastAPI application: JSON from an async view, and JSON like the others."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def hello() -> dict[str, str]:
    """The published answer."""
    return {"message": "Hello World"}


@app.get("/json")
async def message() -> dict[str, str]:
    """The answer that all contenders share."""
    return {"message": "Hello World"}
