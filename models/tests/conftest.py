"""Property tests run on shared machines: how long an example takes says nothing."""

from hypothesis import settings

settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
