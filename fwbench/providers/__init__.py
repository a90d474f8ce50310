"""Create hosts where there are none.

In: how many hosts, and of which size. Out: an Ansible inventory of hosts that answer SSH.
"""
