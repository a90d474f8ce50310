"""From records to estimates.

In: the records of a session. Out: a summary with an interval for every estimate and every
comparison. Pure: no files, no hosts, no clock.
"""
