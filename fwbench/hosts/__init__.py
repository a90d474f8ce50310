"""The state of the hosts before, during and after a session: facts, leases, checks, cleanup.

In: the rigs and their connections. Out: facts, leases, changes since a session began, and what is
wrong with a host in one sentence. `provisioning` installs software; nothing here does.
"""
