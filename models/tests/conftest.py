"""Property tests run on shared machines: how long an example takes says nothing."""

import pytest
from hypothesis import settings

settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


@pytest.fixture(autouse=True, scope="session")
def _frames_are_cached_apart(tmp_path_factory: pytest.TempPathFactory):
    """The user's own cache stays as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
