"""Draw a client's logo anew from a file that anybody may have made: nothing of the file itself is ever served.

Called by `provisioning.logos`, in a thread. What is read is the first picture of a PNG, JPEG, GIF or WebP.
"""

import io
import warnings

import msgspec
from PIL import Image, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
MAX_PIXELS = 16_000_000
# Twice what the pages show, for screens with two pixels in one.
LOGO_SIZE = (640, 128)
ICON_SIZE = (64, 64)


class PictureRefused(Exception):
    """The file is no picture that is taken; the text says why."""


class Pictures(msgspec.Struct, frozen=True):
    """Two PNG files: the logo in its own shape, and the same within a square."""

    logo: bytes
    icon: bytes


def draw(content: bytes) -> Pictures:
    """Draw a logo and its icon.

    Errors: PictureRefused.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata, none of which is kept
            return _draw(content)
    except UnidentifiedImageError as error:
        raise PictureRefused(f"the file is none of {', '.join(FORMATS)}") from error
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, Image.DecompressionBombError) as error:
        raise PictureRefused("the file is damaged") from error


def _draw(content: bytes) -> Pictures:
    with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
        if opened.width * opened.height > MAX_PIXELS:
            raise PictureRefused(f"the picture has more than {MAX_PIXELS} pixels")
        picture = opened.convert("RGBA")
    logo, inner = picture.copy(), picture
    logo.thumbnail(LOGO_SIZE)
    inner.thumbnail(ICON_SIZE)
    icon = Image.new("RGBA", ICON_SIZE)
    icon.paste(inner, ((ICON_SIZE[0] - inner.width) // 2, (ICON_SIZE[1] - inner.height) // 2))
    return Pictures(_png(logo), _png(icon))


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    # A copy without metadata: `info` may hold what the file brought along.
    Image.frombytes(picture.mode, picture.size, picture.tobytes()).save(file, "PNG", optimize=True)
    return file.getvalue()
