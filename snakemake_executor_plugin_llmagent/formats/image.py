"""Images: size and whether they show anything. PDF and SVG: whether they are complete."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.formats.contents import Contents, NotLookedAt, Unreadable, need
from snakemake_executor_plugin_llmagent.formats.source import is_zipped, read_head, read_tail
from snakemake_executor_plugin_llmagent.protocols import Column, Table

MOST_PIXELS = 50_000_000
"""Larger images are not unpacked."""
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP")
_MARKUP_LIMIT = 64 * 1024


def read(path: Path) -> Contents:
    """Describe an image."""
    head = read_head(path, _MARKUP_LIMIT).data
    if head.startswith(b"%PDF-"):
        return _pdf(path, head)
    if head.startswith(b"%!PS"):
        return Contents(tables=(Table(name="", kind="image", note="PostScript"),))
    if re.match(rb"\s*<", head):
        return _svg(path, head)
    return _pixels(path)


def _pdf(path: Path, head: bytes) -> Contents:
    if b"%%EOF" not in read_tail(path, 2048):
        raise Unreadable("is a PDF that is cut short: its end mark is missing")
    version = head[5:8].decode("ascii", "replace")
    return Contents(tables=(Table(name="", kind="image", note=f"PDF {version}, what it shows was not looked at"),))


def _svg(path: Path, head: bytes) -> Contents:
    if b"<svg" not in head:
        raise Unreadable("is markup, but no SVG image")
    if not is_zipped(path) and b"</svg>" not in read_tail(path, 2048):
        raise Unreadable("is an SVG image that is cut short: its end mark is missing")
    return Contents(tables=(Table(name="", kind="image", note="SVG, what it shows was not looked at"),))


def _pixels(path: Path) -> Contents:
    image_module: Any = need("PIL.Image", "pillow")
    try:
        with image_module.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise NotLookedAt(f"has {width} x {height} pixels, too many to unpack")
            image.load()
            return Contents(tables=(_table(image),))
    except (image_module.DecompressionBombError, image_module.DecompressionBombWarning) as error:
        raise NotLookedAt("has too many pixels to unpack") from error
    except image_module.UnidentifiedImageError as error:
        raise Unreadable("is not an image in a known format") from error


def _table(image: Any) -> Table:
    """What an unpacked image shows. A pixel of a colour image is one value."""
    width, height = image.size
    pixels = image if image.mode != "P" else image.convert("RGBA")
    colours = pixels.getcolors(maxcolors=2)
    extrema = pixels.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    column = Column(
        name="pixels",
        type=f"{height} * {width} * {pixels.mode}",
        minimum=float(min(low for low, _ in bands)),
        maximum=float(max(high for _, high in bands)),
        n_values=width * height,
        n_distinct_capped=3 if colours is None else len(colours),
    )
    note = f"{image.format}, {width} x {height} pixels"
    if column.n_distinct_capped == 1:
        note += ", all of the same colour"
    return Table(name="", kind="image", columns=(column,), note=note)


def thumbnails(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Small copies of images, on white.

    Args:
        asked: `paths`, and `pixels`: how wide and high a copy may be.

    Returns:
        For each path `{"webp", "width", "height"}`: the copy (base64) and its size, or `{"problem"}`.
    """
    return [_thumbnail(Path(path), asked["pixels"]) for path in asked["paths"]]


def _thumbnail(path: Path, pixels: int) -> dict[str, Any]:
    image_module: Any = need("PIL.Image", "pillow")
    try:
        with image_module.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                return {"problem": f"it has {image.width} x {image.height} pixels"}
            image.draft("RGB", (pixels, pixels))
            clear = image.has_transparency_data
            whole = image.convert("RGBA" if clear else "RGB")
    except Exception as error:
        # Readers of damaged images raise whatever comes; any of it means that there is nothing to show.
        return {"problem": f"it does not open: {type(error).__name__}: {error}"}
    whole.thumbnail((pixels, pixels))
    paper = image_module.new("RGB", whole.size, "white") if clear else whole
    if clear:
        paper.paste(whole, mask=whole.getchannel("A"))
    buffer = io.BytesIO()
    paper.save(buffer, "WEBP", quality=80, method=2)
    return {"webp": base64.b64encode(buffer.getvalue()).decode(), "width": paper.width, "height": paper.height}
