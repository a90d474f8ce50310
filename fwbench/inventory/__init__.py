"""Where the hosts are: any Ansible inventory.

In: what `ansible-inventory --list` prints. Out: rigs, each a target with its clients. A variable
that fwbench's own connections cannot use as Ansible would is refused by name.
"""
