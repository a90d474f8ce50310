"""What is true of a host now, asked over SSH before, between and after sessions.

In: the rigs and their connections. Out: facts, leases, changes since a session began, and what is
wrong with a host in one sentence. Nothing here installs anything: that is provisioning's.
"""
