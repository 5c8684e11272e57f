"""Pauses between attempts: full jitter, so that clients that failed together do not return together.

Source: aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter.
"""

import random


def full_jitter(failures: int, *, base_s: float, cap_s: float, rng: random.Random) -> float:
    """Return a pause after `failures` failures (1 or more): uniform below `base_s`, which doubles up to `cap_s`."""
    return rng.uniform(0, min(cap_s, base_s * 2.0 ** min(failures - 1, 60)))
