"""The formats of a session's report: each module is one, and `--format` lists them.

In: a `ReportedSession`. Out: chunks of text or bytes. Each module has a `FORMAT` and is named after
it; its docstring is its section in `docs/formats.md`. `fwbench --help` imports all of them, so
their functions import what takes long: pydantic, and every module of fwbench that needs it.
"""
