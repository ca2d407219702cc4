"""Where there is no room, HDF5 goes on with a file that says the same as one that was written."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from io import SEEK_END, BytesIO, FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from newt_sc.io._hdf5 import _Sink, create_hdf5

ROOM = 10_000


@pytest.fixture(autouse=True)
def full() -> Iterator[None]:
    """No file gets larger than so many bytes."""

    class Small(FileIO):
        def write(self, data: Any) -> int:
            left = ROOM - self.tell()
            if left <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(memoryview(data)[:left])

        def truncate(self, size: int | None = None) -> int:
            if size is not None and size > ROOM:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().truncate(size)

    _Sink.__bases__ = (Small,)
    yield
    _Sink.__bases__ = (FileIO,)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_read_is_what_was_written(tmp_path: Path, seed: int) -> None:
    draw, memory = random.Random(seed), BytesIO()
    with _Sink(tmp_path / "a") as sink:
        for _ in range(80):
            at, size = draw.randrange(3 * ROOM), draw.choice((1, 7, 512, 4096, 9000))
            end = memory.seek(0, SEEK_END)
            assert sink.seek(0, SEEK_END) == end
            if draw.random() < 0.5:
                content = draw.randbytes(size)
                for file in (sink, memory):
                    file.seek(at)
                    assert file.write(content) == size
            elif end > size:
                found = bytearray(size)
                sink.seek(at % (end - size))
                memory.seek(at % (end - size))
                assert sink.readinto(found) == size
                assert found == memory.read(size)
        assert sink.failed is not None
    assert (tmp_path / "a").stat().st_size <= ROOM


def test_the_error_is_that_of_the_disk(tmp_path: Path) -> None:
    def write() -> None:
        with create_hdf5(tmp_path / "a.h5") as file:
            for i in range(50):
                file[f"group{i}/names"] = np.array([f"name {j}" for j in range(40)], dtype=object)
                assert file[f"group{i}/names"].asstr()[0] == "name 0"

    with pytest.raises(OSError, match="No space left") as caught:
        write()
    assert caught.value.errno == errno.ENOSPC
