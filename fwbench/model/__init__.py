"""The types that the rooms exchange: immutable, validated, without I/O.

In: plain values, from Python or from JSON. Out: valid models, or pydantic's error.
"""
