"""Decides whether the numbers of a run can be trusted.

In: a run, its contender and its observation. Out: findings, and the verdict that follows from
them. Pure; no check changes a figure. `docs/findings.md` explains every code.
"""
