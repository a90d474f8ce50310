"""Turn any Ansible inventory into rigs.

In: what `ansible-inventory --list` prints. Out: rigs, each a target with its clients. A variable
that Ansible would use and fwbench's own connections cannot is an error that names it.
"""
