"""The snippets of the page on one's own data run as they stand."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

PAGE = Path(__file__).parents[2] / "docs" / "bring-your-own.md"


def test_snippets_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.+?)```", PAGE.read_text(encoding="utf-8"), re.S))
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="(anndata|mudata).*")
        warnings.filterwarnings("ignore", category=FutureWarning)
        exec(compile(code, str(PAGE), "exec"), names)
    mdata, mine = names["mdata"], names["mine"]
    assert mdata["compound"].obsm["X_newt"].shape == (2, mine.n_vars)  # type: ignore[index,attr-defined]
