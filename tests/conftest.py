"""Hypothesis judges what comes out, not how fast: the machine may be busy."""

from hypothesis import HealthCheck, settings

settings.register_profile('any speed', deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile('any speed')
