"""Files by sha256, from a server of this machine."""

from __future__ import annotations

import multiprocessing
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import newt_sc as nt
from newt_sc.datasets import _fetch
from newt_sc.datasets._fetch import fetch, safe_relative
from newt_sc.errors import ChecksumError, DataUnavailableError

CONTENT = b"TP53\tMDM2\n" * 500
DIGEST = sha256(CONTENT).hexdigest()
FILE = "a folder/net #1.tsv"


@dataclass
class Server:
    """Serves ``files`` by their decoded path and keeps what was asked for."""

    url: str
    files: dict[str, bytes]
    asked: list[str] = field(default_factory=list)
    barrier: threading.Barrier | None = None
    cut: bool = False


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    from urllib.parse import unquote

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path).removeprefix("/base/")
            state.asked.append(path)
            if state.barrier is not None:
                state.barrier.wait()
            if path not in state.files:
                self.send_error(404)
                return
            content = state.files[path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if state.cut else content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Server(f"http://127.0.0.1:{http.server_port}/base/", {FILE: CONTENT})
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings that lead nowhere but to an empty cache."""
    monkeypatch.setattr(nt.settings, "data_dir", None)
    monkeypatch.setattr(nt.settings, "data_url", None)
    monkeypatch.setattr(nt.settings, "cache_dir", tmp_path / "cache")
    return tmp_path / "cache"


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "file",
    ["a", "a/b.gmt.gz", "a/./b", "folder/..name", "a b/c#d.tsv", "a..b/c", "ünïcode.gmt"],
    ids=ascii,
)
def test_paths_inside_the_folder(file):
    assert safe_relative(file) == file


@pytest.mark.parametrize(
    "file",
    [
        "",
        ".",
        "./",
        "/etc/passwd",
        "..",
        "../x",
        "a/../../x",
        "a/..",
        "C:x",
        "C:\\x",
        "\\x",
        "a\\..\\x",
        "\\\\h\\s\\x",
    ],
    ids=ascii,
)
def test_paths_outside_the_folder(file, cache):
    with pytest.raises(ValueError, match="expected a relative path without"):
        safe_relative(file)
    with pytest.raises(ValueError, match="expected a relative path without"):
        fetch(file, DIGEST)


def test_own_folders_come_first(cache, tmp_path, monkeypatch):
    first = put(tmp_path / "first" / FILE, CONTENT)
    second = put(tmp_path / "data" / FILE, CONTENT)
    monkeypatch.setattr(nt.settings, "data_dir", tmp_path / "data")
    assert fetch(FILE, DIGEST, folders=(tmp_path / "first",)) == first
    assert fetch(FILE, DIGEST, folders=(tmp_path / "nowhere",)) == second
    assert fetch(FILE, DIGEST) == second
    assert not cache.exists()


def test_other_content_in_a_users_folder_is_an_error_and_left_as_it_is(
    cache, tmp_path, server, monkeypatch
):
    monkeypatch.setattr(nt.settings, "data_url", server.url)
    path = put(tmp_path / "mine" / FILE, b"other")
    with pytest.raises(ChecksumError, match="another version or damaged") as info:
        fetch(FILE, DIGEST, folders=(tmp_path / "mine",))
    assert sha256(b"other").hexdigest() in str(info.value)
    assert DIGEST in str(info.value)
    assert path.read_bytes() == b"other"
    assert server.asked == []


def test_nowhere(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(nt.settings, "data_dir", tmp_path)
    with pytest.raises(DataUnavailableError, match=r"NEWT_SC_DATA_DIR.*NEWT_SC_DATA_URL") as info:
        fetch(FILE, DIGEST)
    assert str(tmp_path) in str(info.value)
    assert str(cache) in str(info.value)
    assert isinstance(info.value, OSError)
    assert not cache.exists()


def test_progress_bar(cache, server, monkeypatch, capsys):
    monkeypatch.setattr(nt.settings, "data_url", server.url)
    assert fetch(FILE, DIGEST, progress=True).read_bytes() == CONTENT
    assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize("slash", ["", "/"])
def test_download_then_cache(cache, server, monkeypatch, slash):
    monkeypatch.setattr(nt.settings, "data_url", server.url.rstrip("/") + slash)
    path = fetch(FILE, DIGEST)
    assert path.read_bytes() == CONTENT
    assert cache in path.parents
    assert path.name == "net #1.tsv"
    assert files_in(cache) == [path]
    assert fetch(FILE, DIGEST) == path
    assert server.asked == [FILE]  # once
    monkeypatch.setattr(nt.settings, "data_url", None)
    assert fetch(FILE, DIGEST) == path


def test_files_of_one_name_and_other_content_do_not_meet_in_the_cache(cache, server, monkeypatch):
    server.files["b/net #1.tsv"] = b"other"
    monkeypatch.setattr(nt.settings, "data_url", server.url)
    one, two = fetch(FILE, DIGEST), fetch("b/net #1.tsv", sha256(b"other").hexdigest())
    assert (one.read_bytes(), two.read_bytes()) == (CONTENT, b"other")


def test_damaged_file_in_the_cache_is_fetched_anew(cache, server, monkeypatch):
    monkeypatch.setattr(nt.settings, "data_url", server.url)
    path = fetch(FILE, DIGEST)
    path.write_bytes(CONTENT[:-1])
    assert fetch(FILE, DIGEST) == path
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_damaged_file_in_the_cache_is_not_used_without_a_server(cache, server, monkeypatch):
    monkeypatch.setattr(nt.settings, "data_url", server.url)
    fetch(FILE, DIGEST).write_bytes(b"damaged")
    monkeypatch.setattr(nt.settings, "data_url", None)
    with pytest.raises(DataUnavailableError, match="was not found"):
        fetch(FILE, DIGEST)


@pytest.mark.parametrize(
    "content", [b"", b"<html>sign in</html>", CONTENT + b"\n"], ids=["empty", "page", "longer"]
)
def test_wrong_content_leaves_nothing_behind(cache, server, monkeypatch, content):
    server.files[FILE] = content
    monkeypatch.setattr(nt.settings, "data_url", server.url)
    with pytest.raises(ChecksumError, match=DIGEST):
        fetch(FILE, DIGEST)
    assert files_in(cache) == []


def test_wrong_content_does_not_replace_what_is_cached(cache, server, monkeypatch):
    monkeypatch.setattr(nt.settings, "data_url", server.url)
    path = fetch(FILE, DIGEST)
    path.write_bytes(b"damaged")
    server.files[FILE] = b"wrong"
    with pytest.raises(ChecksumError):
        fetch(FILE, DIGEST)
    assert b"wrong" not in {file.read_bytes() for file in files_in(cache)}


def test_broken_off_download(cache, server, monkeypatch):
    server.cut = True
    monkeypatch.setattr(nt.settings, "data_url", server.url)
    with pytest.raises((ChecksumError, DataUnavailableError)):
        fetch(FILE, DIGEST)
    assert files_in(cache) == []


def test_not_on_the_server(cache, server, monkeypatch):
    monkeypatch.setattr(nt.settings, "data_url", server.url)
    with pytest.raises(DataUnavailableError, match=r"404.*Check NEWT_SC_DATA_URL"):
        fetch("absent.tsv", DIGEST)
    assert files_in(cache) == []


def test_no_server(cache, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(nt.settings, "data_url", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(DataUnavailableError, match="could not be fetched"):
            fetch(FILE, DIGEST)


@pytest.mark.parametrize(
    "url", ["no-scheme.example/data", "file:///data", "http://", "http://[::1"]
)
def test_malformed_url(cache, monkeypatch, url):
    monkeypatch.setattr(nt.settings, "data_url", url)
    with pytest.raises(DataUnavailableError, match="could not be fetched"):
        fetch(FILE, DIGEST)


def test_cache_that_is_a_file(cache, server, monkeypatch):
    cache.write_bytes(b"")
    monkeypatch.setattr(nt.settings, "data_url", server.url)
    with pytest.raises(DataUnavailableError, match="could not be fetched to"):
        fetch(FILE, DIGEST)


def test_several_processes_at_once(tmp_path, server, monkeypatch):
    n = 3
    server.barrier = threading.Barrier(n, timeout=50)  # no answer before all have asked
    monkeypatch.setenv("NEWT_SC_DATA_DIR", "")
    monkeypatch.setenv("NEWT_SC_DATA_URL", server.url)
    monkeypatch.setenv("NEWT_SC_CACHE_DIR", str(tmp_path / "cache"))
    with multiprocessing.get_context("spawn").Pool(n) as pool:
        paths = pool.starmap(fetch, [(FILE, DIGEST)] * n, chunksize=1)
        pool.close()
        pool.join()
    assert server.asked == [FILE] * n
    assert len(set(paths)) == 1
    assert files_in(tmp_path / "cache") == [paths[0]]
    assert paths[0].read_bytes() == CONTENT


def test_users_cache_directory(monkeypatch):
    monkeypatch.setattr(nt.settings, "cache_dir", None)
    assert _fetch.cache_dir().name == "newt_sc"
    assert _fetch.cache_dir().is_absolute()
