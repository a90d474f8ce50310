"""The types that the rooms pass to each other: frozen, validated, without I/O.

In: plain values, from Python or from JSON. Out: models that are valid, or pydantic's error.
"""
