"""The agent: the part of fwbench that is copied to each host for one session.

It uses the standard library alone. It writes every result to a file in the run's folder, because a
login shell may add text to standard output. A file gets its name only when it is complete.
"""
