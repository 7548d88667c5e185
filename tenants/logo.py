"""A company's logo: what is taken, and where it lies. What is stored was drawn by us, whatever was sent."""

from __future__ import annotations

import hashlib
import io

from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django_tenants.utils import tenant_context
from PIL import Image, ImageOps

from knowrithm.errors import InvalidInputError
from tenants.models import Company

MAX_BYTES = 2 * 1024 * 1024
MAX_SIDE = 4096  # pixels; a picture of that size takes 64 MB while it is read
STORED_SIDE = 512  # pixels
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


def draw_logo(file: File[bytes]) -> bytes:
    """The picture as a PNG of at most 512 pixels a side, without its metadata. Raises `InvalidInputError`.

    The type is told from the content alone. The measures stand in the file's head, so a bomb is never unpacked.
    """
    if file.size > MAX_BYTES:
        raise _refused("The logo is larger than 2 MB. Send a smaller picture.")
    try:
        with Image.open(file, formats=FORMATS) as picture:
            if max(picture.size) > MAX_SIDE:
                raise _too_large()
            drawn = ImageOps.exif_transpose(picture).convert("RGBA")
    except InvalidInputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large() from None
    except Exception:  # a damaged or hostile file may raise anything inside a decoder
        raise _refused("The logo cannot be read. Send a PNG, JPEG, WebP or GIF picture.") from None
    drawn.thumbnail((STORED_SIDE, STORED_SIDE))
    bare = Image.new("RGBA", drawn.size)  # the pixels and nothing that came with them
    bare.paste(drawn)
    output = io.BytesIO()
    bare.save(output, "PNG", optimize=True)
    return output.getvalue()


def store_logo(company: Company, content: bytes) -> str:
    """Put the picture below the company's own prefix; returns its digest."""
    digest = hashlib.sha256(content).hexdigest()[:32]
    name = _name(digest)
    with tenant_context(company):
        if not default_storage.exists(name):
            default_storage.save(name, ContentFile(content))
    return digest


def read_logo(company: Company) -> bytes | None:
    with tenant_context(company):
        try:
            with default_storage.open(_name(company.logo_digest)) as file:
                content: bytes = file.read()
                return content
        except FileNotFoundError:
            return None


def delete_logo(company: Company, digest: str) -> None:
    with tenant_context(company):
        default_storage.delete(_name(digest))


def _name(digest: str) -> str:
    return f"logo/{digest}.png"


def _too_large() -> InvalidInputError:
    return _refused(f"The logo measures more than {MAX_SIDE} pixels a side. Send a smaller picture.")


def _refused(message: str) -> InvalidInputError:
    return InvalidInputError(message, fields={"logo": [message]})
