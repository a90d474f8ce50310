"""Hosts to order: stand-ins for rented machines, as containers on the controller's own engine."""
