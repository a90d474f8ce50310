"""Test hosts in place of rented machines: containers on the controller's own Docker engine."""
