"""Where hosts come from, if they are not there yet.

In: how many hosts, and of which size. Out: an ordinary inventory of hosts that answer SSH.
"""
