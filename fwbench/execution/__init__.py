"""Execute a plan: session, rig, run, load phase.

In: a plan, and hosts that are ready. Out: a record of each run in the session's folder. No timed
request passes over SSH.
"""
