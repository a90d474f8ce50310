"""The published Flask application: a text from a sync view, and JSON like the others."""

import json

from flask import Flask, Response

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    """The published answer."""
    return "Hello, World!"


@app.get("/json")
def message() -> Response:
    """The answer that all contenders share."""
    # jsonify ends its answer with a newline, FastAPI does not: all must answer byte for byte alike.
    body = json.dumps({"message": "Hello World"}, separators=(",", ":"))
    return Response(body, mimetype="application/json")
