"""How a host is reached. No other room imports fabric or paramiko.

In: a host of the inventory. Out: the `Remote` protocol: execute a command, put a file, get a
file, over connections whose host keys are pinned. Errors are of `fwbench.errors`.
"""
