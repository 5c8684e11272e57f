"""What holds for every test."""

from hypothesis import HealthCheck, settings

# On top of the profile that is in force, hypothesis's own for CI included: no test fails because a machine is busy.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
