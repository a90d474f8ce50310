"""What runs on the hosts: standard library alone, copied there for the length of a session.

Every answer goes into a file in the run's folder, never to standard output, where a login shell may
add to it. Files appear under their name only once they are whole.
"""
