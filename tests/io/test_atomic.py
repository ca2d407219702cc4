from __future__ import annotations

import pytest

from newt_sc.io._atomic import atomic_path


def _stop(_written):
    raise KeyboardInterrupt


def test_file_appears_only_when_complete(tmp_path):
    path = tmp_path / "a.tsv.gz"
    with atomic_path(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffixes == [".tsv", ".gz"]
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_existing_file_survives_an_error(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        _stop(temporary.write_text("half"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _store(path, mark, content):
    path.mkdir()
    (path / mark).write_text("{}")
    (path / "content").write_text(content)


@pytest.mark.parametrize("mark", ["zarr.json", ".zgroup"])
def test_zarr_directory_is_swapped(tmp_path, mark):
    path = tmp_path / "a.zarr"
    for content in ("old", "new"):
        with atomic_path(path) as temporary:
            assert temporary.suffix == ".zarr"
            _store(temporary, mark, content)
    assert (path / "content").read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_zarr_directory_survives_an_error(tmp_path):
    path = tmp_path / "a.zarr"
    _store(path, "zarr.json", "old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        _stop(_store(temporary, "zarr.json", "half"))
    assert (path / "content").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_file_is_replaced_by_a_directory(tmp_path):
    path = tmp_path / "a.zarr"
    path.write_text("file")
    with atomic_path(path) as temporary:
        _store(temporary, "zarr.json", "new")
    assert (path / "content").read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_directory_with_other_content_is_never_replaced(tmp_path):
    path = tmp_path / "results"
    path.mkdir()
    (path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="no zarr store"), atomic_path(path) as temporary:
        _store(temporary, "zarr.json", "new")
    assert (path / "thesis.txt").read_text() == "years of work"
    assert list(tmp_path.iterdir()) == [path]


def test_zarr_directory_is_not_replaced_by_a_file(tmp_path):
    path = tmp_path / "a.zarr"
    _store(path, "zarr.json", "old")
    with (
        pytest.raises(FileExistsError, match="a file does not replace"),
        atomic_path(path) as temporary,
    ):
        temporary.write_text("file")
    assert (path / "content").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_link_is_followed(tmp_path):
    target, link = tmp_path / "real.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    with atomic_path(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_missing_directory_and_nothing_written(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="does not exist"),
        atomic_path(tmp_path / "no" / "a.txt"),
    ):
        pass
    with (
        pytest.raises(FileNotFoundError, match="nothing was written"),
        atomic_path(tmp_path / "a.txt"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
