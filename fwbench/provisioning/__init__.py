"""Makes hosts ready, and puts them back. No other room imports ansible_runner.

In: rigs, contenders and a playbook. Out: a result for each host.
"""
