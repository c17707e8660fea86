"""Datasets and model folders to and from a hub, through huggingface_hub, which is optional.

What goes up was opened first, and so was what came down before it gets its name: neither carries a
damaged folder on. A dataset is tagged with its version of the format, by which LeRobot finds it.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lam_models.checkpoint import FILES, open_checkpoint
from lam_models.command import UserError, unknown
from lam_models.data.lerobot_layout import CODEBASE_VERSION, INFO_PATH
from lam_models.data.lerobot_read import Dataset

KINDS = ("model", "dataset")
# Of writers that were interrupted, and of downloads.
_NOT_OURS = ["*.partial", "*.partial/**", ".cache/**", ".git/**"]


def push(folder: Path, repo: str, *, private: bool = False, api: Any = None) -> str:
    """Put a folder into a repository, which then holds exactly it; the repository's address.

    api: a huggingface_hub.HfApi; None makes one.
    """
    kind = _kind_of(folder)
    _open(folder, kind)
    with _plainly(repo):
        api = _api() if api is None else api
        made = api.create_repo(repo, repo_type=kind, private=private or None, exist_ok=True)
        api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            repo_type=kind,
            commit_message=f"{kind} {folder.resolve().name}",
            ignore_patterns=_NOT_OURS,
            delete_patterns=["*"],
        )
        if kind == "dataset":
            _tag(api, repo)
    return str(made)


def pull(folder: Path, repo: str, *, kind: str = "", revision: str = "", api: Any = None) -> str:
    """Get a repository as a folder that is not there yet; what kind it is.

    kind: of KINDS; "" takes the one that there is. revision: branch, tag or commit, "" the newest.
    """
    if folder.exists():
        raise UserError(f"{folder} exists already; choose another folder")
    if kind and kind not in KINDS:
        raise unknown("kind of repository", kind, KINDS)
    partial = folder.with_name(folder.name + ".partial")
    with _plainly(repo):
        api = _api() if api is None else api
        kind = kind or _kind_there(api, repo)
        folder.parent.mkdir(parents=True, exist_ok=True)
        api.snapshot_download(repo, repo_type=kind, revision=revision or None, local_dir=partial)
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    (partial / ".gitattributes").unlink(missing_ok=True)
    found = _kind_of(partial, f"what {repo} holds")
    _open(partial, found)
    partial.rename(folder)
    return found


def _kind_of(folder: Path, name: str = "") -> str:
    if (folder / INFO_PATH).is_file():
        return "dataset"
    if (folder / FILES[0]).is_file():
        return "model"
    raise UserError(
        f"{name or folder} is neither a dataset ({INFO_PATH}) nor a model folder ({FILES[0]})"
    )


def _open(folder: Path, kind: str) -> None:
    """UserError where it is not whole."""
    if kind == "dataset":
        Dataset.open(folder)
    else:
        open_checkpoint(folder)


def _kind_there(api: Any, repo: str) -> str:
    kinds = [kind for kind in KINDS if api.repo_exists(repo, repo_type=kind)]
    if len(kinds) > 1:
        raise UserError(f"there is a model and a dataset '{repo}': say which with --kind")
    if not kinds:
        raise UserError(f"there is no model and no dataset '{repo}', or none that you may read")
    return kinds[0]


def _tag(api: Any, repo: str) -> None:
    from huggingface_hub.errors import RevisionNotFoundError

    with contextlib.suppress(RevisionNotFoundError):
        api.delete_tag(repo, tag=CODEBASE_VERSION, repo_type="dataset")
    api.create_tag(repo, tag=CODEBASE_VERSION, repo_type="dataset")


def _api() -> Any:
    from huggingface_hub import HfApi

    return HfApi()


@contextlib.contextmanager
def _plainly(repo: str) -> Iterator[None]:
    """Whatever keeps the hub from doing it, as a sentence."""
    try:
        from huggingface_hub import errors
    except ImportError:
        raise UserError(
            "hubs need the package huggingface_hub: pip install 'lam_models[hub]'"
        ) from None
    try:
        yield
    except errors.HFValidationError as error:
        raise UserError(f"'{repo}' is no name of a repository (owner/name): {error}") from error
    except errors.RevisionNotFoundError as error:
        raise UserError(f"'{repo}' has no such revision: {_first_line(error)}") from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(f"there is no '{repo}', or none that you may read or write") from error
    except errors.HfHubHTTPError as error:
        hint = "; log in with 'hf auth login'" if _status(error) in (401, 403) else ""
        raise UserError(f"the hub refuses '{repo}': {_first_line(error)}{hint}") from error
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        raise UserError(f"the hub cannot be reached: {_first_line(error)}") from error
    except errors.LocalTokenNotFoundError as error:
        raise UserError("you are not logged in to the hub: 'hf auth login'") from error
    except Exception as error:
        # Which library carries the requests, and its errors, depends on huggingface_hub's version.
        if type(error).__module__.split(".")[0] not in ("httpx", "httpx2", "httpcore", "requests"):
            raise
        raise UserError(f"the hub cannot be reached: {_first_line(error)}") from error


def _status(error: Any) -> int:
    return getattr(getattr(error, "response", None), "status_code", 0)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))
