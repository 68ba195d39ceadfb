"""What is drawn from a file that anybody may have made."""

import io
import struct
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from provisioning.pictures import ICON_SIZE, LOGO_SIZE, MAX_PIXELS, PictureRefused, draw


def file_of(size: tuple[int, int], kind: str = "PNG", *, mode: str = "RGB", **options: object) -> bytes:
    """Make a picture of one colour."""
    file = io.BytesIO()
    Image.new(mode, size, "red").save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_picture_becomes_two_files_of_our_own(kind: str) -> None:
    pictures = draw(file_of((1000, 100), kind))
    logo, icon = (Image.open(io.BytesIO(content)) for content in (pictures.logo, pictures.icon))
    assert (logo.format, icon.format) == ("PNG", "PNG")
    assert (logo.size, icon.size) == ((640, 64), ICON_SIZE)
    assert icon.getpixel((32, 0)) == (0, 0, 0, 0)
    red = icon.getpixel((32, 32))
    assert isinstance(red, tuple)
    assert (red[0] > 250, red[3]) == (True, 255)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA"])
def test_small_pictures_of_every_kind_keep_their_size(mode: str) -> None:
    picture = Image.new(mode, (16, 16))
    file = io.BytesIO()
    picture.save(file, "PNG")
    assert Image.open(io.BytesIO(draw(file.getvalue()).logo)).size == (16, 16)


def test_nothing_of_the_file_itself_is_kept() -> None:
    told = PngInfo()
    told.add_text("comment", "<script>alert(1)</script>")
    pictures = draw(file_of((10, 10), pnginfo=told) + b"<script>alert(1)</script>")
    assert b"script" not in pictures.logo + pictures.icon
    exif = Image.Exif()
    exif[0x010E] = "somebody's address"
    assert b"address" not in draw(file_of((10, 10), "JPEG", exif=exif)).logo


def test_a_flood_of_pixels_is_refused_before_it_is_unpacked() -> None:
    side = int(MAX_PIXELS**0.5) + 1
    header = struct.pack(">II5B", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    with pytest.raises(PictureRefused, match="pixels"):
        draw(content)
    with pytest.raises(PictureRefused):
        draw(content.replace(struct.pack(">II", side, side), struct.pack(">II", 2**31 - 1, 2**31 - 1)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><title>Not here</title>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
        b"II*\0" + bytes(100),
        file_of((10, 10), "BMP"),
        file_of((10, 10), "TIFF"),
        file_of((16, 16), "ICO"),
        file_of((200, 200), "JPEG")[:300],
        file_of((10, 10), "PNG")[:40],
        b"GIF89a" + b"\xff" * 50,
        b"RIFF\xff\xff\xff\xffWEBPVP8X" + b"\xff" * 30,
    ],
    ids=["nothing", "svg", "html", "eps", "tiff head", "bmp", "tiff", "ico", "half jpeg", "half png", "gif", "webp"],
)
def test_what_is_no_such_picture_is_refused(content: bytes) -> None:
    with pytest.raises(PictureRefused):
        draw(content)


def test_pictures_are_small() -> None:
    noise = io.BytesIO()
    Image.effect_noise((2000, 2000), 100).save(noise, "PNG")
    pictures = draw(noise.getvalue())
    assert len(pictures.logo) <= LOGO_SIZE[0] * LOGO_SIZE[1] * 5
