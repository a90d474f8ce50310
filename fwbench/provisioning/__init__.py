"""Install and remove software on hosts, by Ansible. No other package imports ansible_runner.

In: rigs, contenders and a playbook. Out: a result for each host.
"""
