"""Reads the artifacts of a run.

In: the run's folder of raw files, fetched from its hosts. Out: an observation: figures, the
request log, exact latency counts, and the telemetry of all hosts. Artifacts can be read again at
any time.
"""
