"""Connections to hosts. No other package imports fabric or paramiko.

In: a host of the inventory. Out: the `Remote` protocol: execute a command, put a file, get a
file, over connections whose host keys are pinned. All errors are classes of `fwbench.errors`.
"""
