"""What is done to a deployment from outside: its secrets, what its smoke test needs, a vault that comes back.

It runs on a deployer's machine before anything is installed there: the standard library has to do.
"""
