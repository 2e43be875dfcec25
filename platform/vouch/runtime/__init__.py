"""Starting what Vouch stands on (PostgreSQL, Redis) and Vouch itself, for `make demo`, `make serve` and the tests.

Production does not use this folder: it sets DATABASE_URL and REDIS_URL and runs the processes under its own manager.
"""
