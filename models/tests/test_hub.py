"""`lam hub push` and `pull`, against a hub of our own that takes what huggingface_hub's takes."""

from __future__ import annotations

import inspect
import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import errors
from table_episodes import record_episodes

from lam_models.checkpoint import Checkpoint, Spec, open_checkpoint, origin_now, write
from lam_models.command import UserError
from lam_models.data.lerobot_layout import CODEBASE_VERSION
from lam_models.data.lerobot_read import Dataset
from lam_models.stages import hub


class Shelf:
    """A hub on disk. Every call must fit the signature of the real one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tags: dict[str, str] = {}

    def __getattribute__(self, name: str) -> Any:
        own = object.__getattribute__(self, name)
        if not hasattr(huggingface_hub.HfApi, name) or not inspect.ismethod(own):
            return own
        real = inspect.signature(getattr(huggingface_hub.HfApi, name))

        def checked(*words: Any, **more: Any) -> Any:
            real.bind(None, *words, **more)
            return own(*words, **more)

        return checked

    def place(self, repo: str, kind: str) -> Path:
        return self.root / kind / repo

    def create_repo(self, repo: str, *, repo_type: str, private: Any, exist_ok: bool) -> str:
        self.place(repo, repo_type).mkdir(parents=True, exist_ok=exist_ok)
        return f"hub://{repo_type}/{repo}"

    def upload_folder(self, *, repo_id: str, folder_path: Path, repo_type: str, **more: Any):
        place = self.place(repo_id, repo_type)
        assert more["delete_patterns"] == ["*"]
        shutil.rmtree(place)
        for file in filter(Path.is_file, folder_path.rglob("*")):
            name = str(file.relative_to(folder_path))
            if not any(fnmatch(name, pattern) for pattern in more["ignore_patterns"]):
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, place / name)

    def repo_exists(self, repo: str, *, repo_type: str) -> bool:
        return self.place(repo, repo_type).is_dir()

    def snapshot_download(self, repo: str, *, repo_type: str, revision: Any, local_dir: Path):
        shutil.copytree(self.place(repo, repo_type), local_dir, dirs_exist_ok=True)
        (local_dir / ".cache" / "huggingface").mkdir(parents=True)
        (local_dir / ".gitattributes").write_text("*.mp4 filter=lfs\n")

    def delete_tag(self, repo: str, *, tag: str, repo_type: str) -> None:
        if self.tags.pop(repo, None) is None:
            raise _refusal(errors.RevisionNotFoundError, 404)

    def create_tag(self, repo: str, *, tag: str, repo_type: str) -> None:
        assert repo not in self.tags
        self.tags[repo] = tag


def _refusal(kind: type[Exception], status: int) -> Exception:
    error = kind.__new__(kind)
    Exception.__init__(error, f"{status} said the hub")
    error.response = type("Response", (), {"status_code": status})()  # pyright: ignore
    return error


@pytest.fixture
def shelf(tmp_path: Path) -> Any:
    return Shelf(tmp_path / "hub")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_episodes(tmp_path_factory.mktemp("data") / "data")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    content = Checkpoint("toy", {}, Spec(), origin_now("", "toy"), {"w": np.ones(3)})
    return write(tmp_path / "model", content)


def test_a_dataset_comes_back_as_it_went(dataset: Path, shelf: Any, tmp_path: Path):
    assert hub.push(dataset, "lab/pushes", api=shelf) == "hub://dataset/lab/pushes"
    assert shelf.tags == {"lab/pushes": CODEBASE_VERSION}
    assert hub.pull(tmp_path / "back", "lab/pushes", api=shelf) == "dataset"
    assert Dataset.open(tmp_path / "back").content_hash == Dataset.open(dataset).content_hash
    files = {str(file.relative_to(dataset)) for file in dataset.rglob("*")}
    assert {
        str(file.relative_to(tmp_path / "back")) for file in (tmp_path / "back").rglob("*")
    } == (files)
    hub.push(dataset, "lab/pushes", api=shelf)
    assert shelf.tags == {"lab/pushes": CODEBASE_VERSION}, "the tag follows"


def test_a_model_comes_back_without_what_lay_about(model: Path, shelf: Any, tmp_path: Path):
    (model / "weights.partial").write_text("half")
    hub.push(model, "lab/toy", api=shelf)
    assert hub.pull(tmp_path / "deep" / "back", "lab/toy", api=shelf) == "model"
    assert not (tmp_path / "deep" / "back" / "weights.partial").exists()
    assert np.array_equal(open_checkpoint(tmp_path / "deep" / "back").tensors["w"], np.ones(3))


def test_what_is_damaged_neither_goes_nor_comes(model: Path, shelf: Any, tmp_path: Path):
    hub.push(model, "lab/toy", api=shelf)
    (shelf.place("lab/toy", "model") / "spec.json").unlink()
    with pytest.raises(UserError, match=r"lacks the file spec\.json"):
        hub.pull(tmp_path / "back", "lab/toy", api=shelf)
    assert not (tmp_path / "back").exists()
    (model / "model.safetensors").write_bytes(b"other")
    with pytest.raises(UserError, match="hash differs"):
        hub.push(model, "lab/other", api=shelf)
    assert not shelf.place("lab/other", "model").exists()
    with pytest.raises(UserError, match="neither a dataset"):
        hub.push(tmp_path, "lab/other", api=shelf)


def test_which_of_two_is_to_be_said(dataset: Path, model: Path, shelf: Any, tmp_path: Path):
    with pytest.raises(UserError, match="no model and no dataset 'lab/x'"):
        hub.pull(tmp_path / "back", "lab/x", api=shelf)
    for folder in (dataset, model):
        hub.push(folder, "lab/x", api=shelf)
    with pytest.raises(UserError, match="--kind"):
        hub.pull(tmp_path / "back", "lab/x", api=shelf)
    assert hub.pull(tmp_path / "back", "lab/x", kind="model", api=shelf) == "model"
    with pytest.raises(UserError, match="exists already"):
        hub.pull(tmp_path / "back", "lab/x", kind="model", api=shelf)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.OfflineModeIsEnabled("offline mode"), "the hub cannot be reached: offline mode"),
        (errors.LocalTokenNotFoundError("no token"), "not logged in"),
        (errors.HFValidationError("Repo id must ..."), "no name of a repository"),
        (_refusal(errors.RepositoryNotFoundError, 404), "there is no 'lab/toy'"),
        (_refusal(errors.HfHubHTTPError, 401), "refuses 'lab/toy': 401.*hf auth login"),
        (_refusal(errors.HfHubHTTPError, 503), "refuses 'lab/toy': 503 said the hub$"),
    ],
)
def test_what_the_hub_refuses_is_a_sentence(
    model: Path, shelf: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
):
    def fails(*words: Any, **more: Any) -> None:
        raise error

    monkeypatch.setattr(shelf, "create_repo", fails)
    with pytest.raises(UserError, match=said):
        hub.push(model, "lab/toy", api=shelf)


def test_without_a_network_it_says_so(model: Path, monkeypatch: pytest.MonkeyPatch):
    nowhere = huggingface_hub.HfApi(endpoint="http://127.0.0.1:9", token=False)
    with pytest.raises(UserError, match="cannot be reached"):
        hub.push(model, "lab/toy", api=nowhere)


def test_without_the_package_it_says_what_to_install(model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"pip install 'lam_models\[hub\]'"):
        hub.push(model, "lab/toy")
