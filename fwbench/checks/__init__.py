"""Decides whether the numbers of a run can be trusted.

In: a run, its contender and its observation. Out: findings, and the verdict that follows from
them. Pure; no check changes a figure. Each check is one module with a `CHECK`. The docstring of
the module is its section in `docs/findings.md`.
"""
