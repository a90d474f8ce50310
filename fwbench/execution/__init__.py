"""Executes a plan: session, rig, run, load phase.

In: a plan, and hosts that are ready. Out: a record of each run in the session's folder. Nothing
that is timed passes over SSH.
"""
