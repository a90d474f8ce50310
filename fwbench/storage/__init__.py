"""Session folders: append-only, durable, versioned.

In: models. Out: files that survive a crash at any moment, and the models again.
"""
