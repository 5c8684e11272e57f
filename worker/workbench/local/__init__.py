"""The embedded stack: emulator, reader and workers on this machine, without an AWS account.

Only the workbench's commands, the tests and the image smoke test import it. No image contains it.
"""
