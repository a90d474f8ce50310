"""The types that the packages exchange: immutable, validated, without I/O.

In: plain values, from Python or from JSON. Out: valid models, or pydantic's error.
"""
