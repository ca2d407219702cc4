from __future__ import annotations

import bz2
import gzip

import pytest

from newt_sc.errors import FormatError
from newt_sc.io._text import check_field, create_text, iter_lines, open_text


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("name", ["a.txt", "a.gz"])
def test_gzip_is_recognised_by_content_not_by_name(tmp_path, compress, name):
    path = tmp_path / name
    path.write_bytes(compress("\ufeffα\r\nb\x85c\n\nd".encode()))
    assert list(iter_lines(path)) == [(1, "α"), (2, "b\x85c"), (3, ""), (4, "d")]


def test_concatenated_gzip_members_are_one_text(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n"))
    assert [line for _, line in iter_lines(path)] == ["a", "b"]


def test_empty_file_has_no_lines(tmp_path):
    (tmp_path / "a").touch()
    assert list(iter_lines(tmp_path / "a")) == []


def test_truncated_gzip_names_a_line(tmp_path):
    lines = [f"line {i} {i * 7919 % 104729}" for i in range(20_000)]
    whole = gzip.compress("\n".join(lines).encode())
    path = tmp_path / "a.txt.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="truncated or damaged") as caught:
        list(iter_lines(path))
    assert caught.value.line is not None
    assert 5_000 < caught.value.line < 15_000


@pytest.mark.parametrize("cut", [2, 5, 12])
def test_gzip_cut_within_its_header(tmp_path, cut):
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(b"text\n" * 9)[:cut])
    with pytest.raises(FormatError, match="truncated or damaged"):
        list(iter_lines(path))


def test_flipped_byte_in_gzip_is_found(tmp_path):
    data = bytearray(gzip.compress(b"".join(b"%d\n" % (i * i) for i in range(5000))))
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / "a"
    path.write_bytes(bytes(data))
    with pytest.raises(FormatError, match="truncated or damaged"):
        list(iter_lines(path))


def test_bytes_that_are_not_utf8_name_their_line(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"ok\n" * 10_000 + b"caf\xe9\n")
    with pytest.raises(FormatError, match="not UTF-8") as caught:
        list(iter_lines(path))
    assert caught.value.line == 10_001


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bz2.compress(b"text"), "bzip2"),
        (b"PK\x03\x04rest", "zip"),
        (gzip.compress(b"a\0b"), "NUL"),
        ("text".encode("utf-16"), "NUL|UTF-8"),
        (b"\x89HDF\r\n\x1a\n\0\0", "NUL|UTF-8"),
        (b"a\n" * 100_000 + b"\0\n", "NUL"),
    ],
)
def test_binary_content_is_refused(tmp_path, content, message):
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message):
        list(iter_lines(path))


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file.*nowhere"):
        list(iter_lines(tmp_path / "nowhere"))
    with pytest.raises(IsADirectoryError, match="directory"):
        list(iter_lines(tmp_path))


def test_errors_of_the_caller_pass_unchanged(tmp_path):
    (tmp_path / "a").write_text("fine\n")
    with pytest.raises(EOFError, match="mine"), open_text(tmp_path / "a"):
        raise EOFError("mine")


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_create_text_round_trip_is_reproducible(tmp_path, name):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        with create_text(tmp_path / folder / name) as text:
            text.write("α\nb\n")
    assert list(iter_lines(tmp_path / "one" / name)) == [(1, "α"), (2, "b")]
    content = (tmp_path / "one" / name).read_bytes()
    assert content == (tmp_path / "two" / name).read_bytes()
    assert content.startswith(b"\x1f\x8b") == name.endswith(".gz")


@pytest.mark.parametrize("value", ["", " a", "a ", "a\tb", "a\nb", "a\rb", "\0", "\ufeffa"])
def test_check_field_refuses_what_is_not_read_back(value):
    with pytest.raises(ValueError, match="the gene"):
        check_field(value, "the gene")


def test_check_field_wants_strings():
    assert check_field("HLA-A b", "the gene") == "HLA-A b"
    with pytest.raises(TypeError, match=r"1\.5"):
        check_field(1.5, "the gene")
