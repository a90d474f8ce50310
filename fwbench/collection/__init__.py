"""Reads what a run left.

In: the run's folder of raw files, fetched from its hosts. Out: an observation: figures, the
request log, exact latency counts, and the telemetry of both hosts. It can be read again at any
time.
"""
