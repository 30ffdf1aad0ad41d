"""Flat columns written piece by piece to Parquet, ROOT, npz or npy files, whole or not at all."""

import contextlib
import json
import shutil
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wrappers.common.job import WrongInput, replacing

ROWS_PER_GROUP = 250_000
"""Pieces are gathered until they have so many rows: few, large row groups or baskets, at a constant memory."""
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
Columns = Mapping[str, np.ndarray]
Write = Callable[[Columns], None]


@contextlib.contextmanager
def flat_writer(path: Any, provenance: Mapping[str, Any], *, tree: str = "events") -> Iterator[Write]:
    """Yield a function that adds rows to a new file; the file appears when the block ends without an error.

    The function takes columns by name, shape (n,) each, of the same names and types every time. It must be called at
    least once; n may be 0. In memory there are at most about `ROWS_PER_GROUP` rows more than one piece has.

    Args:
        path: ends in .parquet, .root (a TTree), .npz (an array per column) or .npy (one array, a column per column).
        provenance: is stored in the file (not in .npy, which has no place for it).
        tree: name of the TTree.

    Raises:
        WrongInput: for another suffix.
    """
    writer = flat_format(path)
    with replacing(path) as partial, contextlib.ExitStack() as stack:
        text = json.dumps(provenance, ensure_ascii=False)
        write = stack.enter_context(writer(partial, text, tree))
        waiting: list[Columns] = []

        def flush() -> None:
            write({name: np.concatenate([piece[name] for piece in waiting]) for name in waiting[0]})
            waiting.clear()

        def add(piece: Columns) -> None:
            waiting.append(piece)
            if sum(len(next(iter(one.values()))) for one in waiting) >= ROWS_PER_GROUP:
                flush()

        yield add
        if waiting:
            flush()


def flat_format(path: Any) -> Any:
    """Return what writes a file of this suffix.

    Raises:
        WrongInput: if nothing does.
    """
    suffix = Path(str(path)).suffix
    if suffix not in _WRITERS:
        raise WrongInput(f"{path}: flat columns are written to {', '.join(_WRITERS)} files, not to {suffix!r}")
    return _WRITERS[suffix]


@contextlib.contextmanager
def _to_parquet(path: Path, provenance: str, _: str) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with contextlib.ExitStack() as stack:
        writers: list[pq.ParquetWriter] = []

        def write(piece: Columns) -> None:
            table = pa.Table.from_arrays([_arrow(array) for array in piece.values()], names=list(piece))
            table = table.replace_schema_metadata({"provenance": provenance})
            if not writers:
                writers.append(stack.enter_context(pq.ParquetWriter(path, table.schema, compression="zstd")))
            writers[0].write_table(table)

        yield write


def _arrow(array: np.ndarray) -> Any:
    """Return an array for Arrow without a copy; Arrow's own way would import pandas first."""
    import pyarrow as pa

    if array.dtype == bool:
        bits = np.packbits(array, bitorder="little")
        return pa.Array.from_buffers(pa.bool_(), len(array), [None, pa.py_buffer(bits)])
    kind = pa.from_numpy_dtype(array.dtype)
    return pa.Array.from_buffers(kind, len(array), [None, pa.py_buffer(np.ascontiguousarray(array))])


@contextlib.contextmanager
def _to_root(path: Path, provenance: str, tree: str) -> Iterator[Write]:
    import uproot

    # The contents do not differ from run to run; the dates inside a ROOT file still do.
    with uproot.recreate(path, uuid_function=lambda: uuid.UUID(int=0)) as file:
        file["provenance"] = provenance
        trees: list[Any] = []

        def write(piece: Columns) -> None:
            if not trees:
                # An assignment would write an RNTuple, which older programs cannot read.
                trees.append(file.mktree(tree, {name: array.dtype for name, array in piece.items()}))
            if len(next(iter(piece.values()))):
                trees[0].extend(dict(piece))

        yield write


@contextlib.contextmanager
def _to_npz(path: Path, provenance: str, _: str) -> Iterator[Write]:
    types: dict[str, np.dtype[Any]] = {}
    rows = [0]
    with tempfile.TemporaryDirectory(prefix=".columns-", dir=path.parent) as folder:

        def write(piece: Columns) -> None:
            for number, (name, array) in enumerate(piece.items()):
                types[name] = array.dtype
                with Path(folder, str(number)).open("ab") as column:
                    np.ascontiguousarray(array).tofile(column)
            rows[0] += len(next(iter(piece.values())))

        yield write
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for number, (name, dtype) in enumerate(types.items()):
                member = zipfile.ZipInfo(f"{name}.npy", date_time=ZIP_DATE)
                with archive.open(member, "w", force_zip64=True) as to:
                    _copy(Path(folder, str(number)), to, dtype, (rows[0],))
            with archive.open(zipfile.ZipInfo("provenance.npy", date_time=ZIP_DATE), "w") as to:
                np.lib.format.write_array(to, np.array(provenance), allow_pickle=False)


@contextlib.contextmanager
def _to_npy(path: Path, _: str, __: str) -> Iterator[Write]:
    shape, types = [0, 0], [np.dtype(np.float64)]
    with tempfile.TemporaryDirectory(prefix=".rows-", dir=path.parent) as folder:
        name = Path(folder, "rows")

        def write(piece: Columns) -> None:
            matrix = np.stack(list(piece.values()), axis=1)
            types[0], shape[1] = matrix.dtype, matrix.shape[1]
            shape[0] += matrix.shape[0]
            with name.open("ab") as rows:
                matrix.tofile(rows)

        yield write
        with path.open("wb") as to:
            _copy(name, to, types[0], tuple(shape))


def _copy(name: Path, to: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Write a .npy file whose numbers lie in the file `name`."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(to, header)
    with name.open("rb") as numbers:
        shutil.copyfileobj(numbers, to, 1 << 20)


_WRITERS: dict[str, Any] = {".parquet": _to_parquet, ".root": _to_root, ".npz": _to_npz, ".npy": _to_npy}
