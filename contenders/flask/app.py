"""The published Flask application (a sync view), and an endpoint that all contenders share."""

import json

from flask import Flask, Response

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    """Return the published answer."""
    return "Hello, World!"


@app.get("/json")
def message() -> Response:
    """Return the answer that is the same for all contenders."""
    # Not jsonify, which adds a newline: all contenders must send the same bytes.
    body = json.dumps({"message": "Hello World"}, separators=(",", ":"))
    return Response(body, mimetype="application/json")
