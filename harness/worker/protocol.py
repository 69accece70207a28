"""How host and worker speak: one message is a JSON header and named arrays as `.npy` frames. No pickle anywhere.

A message is one `send_bytes`: the length of the header (8 bytes, big-endian), the header as UTF-8 JSON, then the frames
one after another, each padded to 64 bytes so that a received array is aligned. Arrays of at least `Arena.threshold`
bytes go through a memory-mapped file instead, one for each direction, which is kept mapped and reused: first-touch page
faults cost as much as the copy itself. An arena's content is valid until the receiver sends its next message.

bfloat16, which `.npy` cannot name, travels as uint16 and gets its dtype back where ml_dtypes is to be had.
Not stdin/stdout: frameworks print there.
"""

import io
import json
import mmap
import os
import struct
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

VERSION = 2
ALIGN = 64
BFLOAT16 = "bfloat16"

Arrays = Dict[str, np.ndarray]


class Arena:
    """One direction's reusable mapping. The sender grows the file; the receiver maps it anew when it has grown."""

    threshold = 1 << 20

    def __init__(self, path: str) -> None:
        self.path = path
        self._map: Optional[mmap.mmap] = None
        self._size = 0

    def _remap(self, size: int, grow: bool) -> None:
        if self._map is not None and self._size >= size:
            return
        # The old mapping is dropped, not closed: arrays that still look into it keep it alive.
        flags = os.O_RDWR | (os.O_CREAT if grow else 0)
        descriptor = os.open(self.path, flags, 0o600)
        try:
            if grow and os.fstat(descriptor).st_size < size:
                os.ftruncate(descriptor, size)
            self._size = os.fstat(descriptor).st_size
            self._map = mmap.mmap(descriptor, self._size)
        finally:
            os.close(descriptor)

    def write(self, offset: int, array: np.ndarray) -> None:
        """Copy a contiguous array's bytes in at `offset`; the one copy on its way."""
        assert self._map is not None
        target = np.frombuffer(self._map, dtype=np.uint8, count=array.nbytes, offset=offset)
        np.copyto(target.view(array.dtype).reshape(array.shape), array)

    def reserve(self, size: int) -> None:
        """Make room for `size` bytes (the sender's side); grows by doubling, so that it rarely has to."""
        if self._size < size:
            room = max(size, 2 * self._size)
            self._remap(room, True)

    def read(self, offset: int, dtype: str, shape: Tuple[int, ...]) -> np.ndarray:
        """Return a view of the array at `offset`; no copy."""
        count = int(np.prod(shape, dtype=np.int64))
        kind = np.dtype(dtype)
        self._remap(offset + count * kind.itemsize, False)
        assert self._map is not None
        return np.frombuffer(self._map, dtype=kind, count=count, offset=offset).reshape(shape)


def bfloat16() -> Any:
    """NumPy's bfloat16 where ml_dtypes is installed, else None."""
    try:
        import ml_dtypes
    except ImportError:
        return None
    return np.dtype(ml_dtypes.bfloat16)


def _plain(array: np.ndarray) -> Tuple[np.ndarray, str]:
    """Return a contiguous array of a dtype that `.npy` can name, and the logical dtype's name."""
    name = array.dtype.name
    contiguous = array if array.flags.c_contiguous else np.ascontiguousarray(array).reshape(array.shape)
    if name == BFLOAT16:
        return contiguous.view(np.uint16), name
    return contiguous, name


def _logical(array: np.ndarray, name: str) -> np.ndarray:
    if name == BFLOAT16:
        dtype = bfloat16()
        return array if dtype is None else array.view(dtype)
    return array


def send(connection: Any, header: Dict[str, Any], arrays: Arrays, arena: Optional[Arena] = None) -> None:
    """Send one message. Raises OSError where the other side has gone."""
    index: List[Dict[str, Any]] = []
    frames = io.BytesIO()
    large: List[Tuple[int, np.ndarray]] = []
    end = 0
    for name, array in arrays.items():
        plain, logical = _plain(np.asarray(array))
        entry: Dict[str, Any] = {"name": name, "dtype": logical}
        if arena is not None and plain.nbytes >= arena.threshold:
            entry.update(arena=end, shape=list(plain.shape), stored=plain.dtype.str)
            large.append((end, plain))
            end += -(-plain.nbytes // ALIGN) * ALIGN
        else:
            start = frames.tell()
            np.lib.format.write_array(frames, plain, allow_pickle=False)
            entry.update(frame=start, size=frames.tell() - start)
            frames.write(b"\0" * (-frames.tell() % ALIGN))
        index.append(entry)
    if arena is not None and large:
        arena.reserve(end)
        for offset, array in large:
            arena.write(offset, array)
    head = json.dumps({"header": header, "arrays": index}).encode("utf-8")
    # Frames start on an aligned byte, so that the arrays read from them are aligned too.
    pad = -(8 + len(head)) % ALIGN
    head += b" " * pad
    connection.send_bytes(struct.pack(">Q", len(head)) + head + frames.getvalue())


def receive(connection: Any, arena: Optional[Arena] = None) -> Tuple[Dict[str, Any], Arrays]:
    """Receive one message. Raises EOFError where the other side has gone, ValueError for what is no message."""
    data = connection.recv_bytes()
    if len(data) < 8:
        raise ValueError("a message of %d bytes" % len(data))
    (length,) = struct.unpack_from(">Q", data)
    if 8 + length > len(data):
        raise ValueError("a message whose header is cut off")
    head = json.loads(data[8 : 8 + length].decode("utf-8"))
    arrays: Arrays = {}
    for entry in head["arrays"]:
        if "arena" in entry:
            if arena is None:
                raise ValueError("a message with arena arrays, but no arena")
            array = arena.read(entry["arena"], entry["stored"], tuple(entry["shape"]))
        else:
            array = _read_frame(data, 8 + length + entry["frame"], entry["size"])
        arrays[entry["name"]] = _logical(array, entry["dtype"])
    return head["header"], arrays


def _read_frame(data: bytes, start: int, size: int) -> np.ndarray:
    """Read one `.npy` frame as a view into the message; `np.load` would copy it."""
    frame = io.BytesIO(data[start : start + min(size, 4096)])
    version = np.lib.format.read_magic(frame)
    if version != (1, 0):
        raise ValueError("a frame of .npy version %s" % (version,))
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(frame)
    if dtype.hasobject:
        raise ValueError("a frame with Python objects")
    count = int(np.prod(shape, dtype=np.int64))
    array = np.frombuffer(data, dtype=dtype, count=count, offset=start + frame.tell())
    return array.reshape(shape, order="F" if fortran else "C")
