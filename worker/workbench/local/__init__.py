"""The embedded stack: emulator, model server and workers on this machine, without an AWS account.

Nothing outside this package and the tests imports it, and no worker image contains it.
"""
