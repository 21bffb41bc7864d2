"""Page images: the highlight lies over the words, and no file can harm who asks for one."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen import canvas
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate

from rag.errors import ReadError
from rag.pages import PageImage, Pages, _checked, page_image
from rag.read import Limits, read_file
from rag.records import Document, Mark

SEEDS = Path(__file__).resolve().parent.parent / "seeds" / "documents"
YELLOW = (254, 235, 175)
Draw = Callable[[canvas.Canvas], None]


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    with Pages() as opened:
        yield opened


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., tuple[Path, Document]]:
    """Make a PDF of functions that draw a page each, and read it."""

    def make(*draws: Draw, size: tuple[float, float] = (600, 800)) -> tuple[Path, Document]:
        path = tmp_path / "drawn.pdf"
        pdf = canvas.Canvas(str(path), pagesize=size)
        for draw in draws:
            pdf.setFont("Helvetica", 20)
            draw(pdf)
            pdf.showPage()
        pdf.save()
        return path, read_file(path, "drawn.pdf")

    return make


def span(document: Document, words: str) -> tuple[int, int]:
    start = document.text.index(words)
    return start, start + len(words)


def decoded(image: PageImage) -> Image.Image:
    shown = Image.open(io.BytesIO(image.png)).convert("RGB")
    assert shown.size == (image.width, image.height)
    return shown


def yellow_box(image: PageImage) -> tuple[float, float, float, float]:
    """The extent of what is highlighted, as fractions of the page."""
    shown = decoded(image)
    tint = Image.new("RGB", shown.size, YELLOW)
    exact = ImageChops.difference(shown, tint).convert("L").point(lambda value: value == 0 and 255)
    box = exact.getbbox()
    assert box is not None
    wide, high = shown.size
    return box[0] / wide, box[1] / high, box[2] / wide, box[3] / high


def about(*edges: float) -> object:
    return pytest.approx(edges, abs=0.015)


def test_highlight_lies_where_the_words_are_drawn(
    pages: Pages, write: Callable[..., tuple[Path, Document]]
) -> None:
    path, document = write(
        lambda pdf: pdf.drawString(60, 700, "Not this page"),
        lambda pdf: (
            pdf.drawString(60, 600, "Guarantees were given in Budapest"),
            pdf.drawString(60, 300, "Second line"),
        ),
    )
    image = pages.image(path, document, 2, [span(document, "Budapest")], width=600)
    assert (image.width, image.height) == (600, 800)
    left = 60 + stringWidth("Guarantees were given in ", "Helvetica", 20)
    right = left + stringWidth("Budapest", "Helvetica", 20)
    # Letters of 20 points rise some 19 above the line that they stand on and fall 5 below it.
    expected = about(left / 600, (800 - 619) / 800, right / 600, (800 - 595) / 800)
    [box] = image.boxes
    assert box == expected
    assert yellow_box(image) == expected
    # The letters are as dark as before, and nothing beside the highlight has changed.
    plain = decoded(pages.image(path, document, 2, [], width=600))
    area = tuple(round(edge * size) for edge, size in zip(box, (600, 800) * 2, strict=True))
    assert decoded(image).crop(area).convert("L").getextrema()[0] < 30  # type: ignore[arg-type]
    changed = ImageChops.difference(plain, decoded(image)).getbbox()
    assert changed is not None
    assert all(abs(a - b) <= 6 for a, b in zip(changed, area, strict=True))


def test_one_box_a_line_and_parts_on_other_pages_are_left_out(
    pages: Pages, write: Callable[..., tuple[Path, Document]]
) -> None:
    def tight(pdf: canvas.Canvas) -> None:
        for at in range(4):  # so tight that the boxes of the letters overlap
            pdf.drawString(60, 600 - 20 * at, f"Line {at} of some words")

    path, document = write(tight, lambda pdf: pdf.drawString(60, 600, "Next"))
    whole = [(0, len(document.text))]
    boxes = pages.image(path, document, 1, whole).boxes
    assert len(boxes) == 4
    assert [box[1] for box in boxes] == sorted(box[1] for box in boxes)
    assert len(pages.image(path, document, 2, whole).boxes) == 1
    assert pages.image(path, document, 2, [(0, 5)]).boxes == ()


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotated_pages(
    pages: Pages, write: Callable[..., tuple[Path, Document]], turn: int
) -> None:
    """The page is stored on its side, its words too, so that they stand upright when shown."""

    def draw(pdf: canvas.Canvas) -> None:
        pdf.setPageRotation(turn)
        pdf.translate(*{90: (600, 0), 180: (600, 800), 270: (0, 800)}[turn])
        pdf.rotate(turn)
        pdf.drawString(100, 400, "Upright")

    wide, high = (600, 800) if turn == 180 else (800, 600)
    path, document = write(draw, size=(wide, high))  # reportlab takes the size as it is shown
    image = pages.image(path, document, 1, [span(document, "Upright")], width=wide)
    assert (image.width, image.height) == (wide, high)
    end = 100 + stringWidth("Upright", "Helvetica", 20)
    expected = about(100 / wide, (high - 419) / high, end / wide, (high - 395) / high)
    assert image.boxes == (expected,)
    assert yellow_box(image) == expected


def test_rotated_page_whose_words_then_run_upward(
    pages: Pages, write: Callable[..., tuple[Path, Document]]
) -> None:
    def draw(pdf: canvas.Canvas) -> None:
        pdf.setPageRotation(90)
        pdf.drawString(100, 600, "Sideways")

    path, document = write(draw, size=(800, 600))
    image = pages.image(path, document, 1, [span(document, "Sideways")], width=800)
    end = 100 + stringWidth("Sideways", "Helvetica", 20)
    # Turned clockwise, what was at (x, y) from the lower left is at (y, x) from the upper left.
    expected = about(595 / 800, 100 / 600, 619 / 800, end / 600)
    assert image.boxes == (expected,)
    assert yellow_box(image) == expected


def test_crop_boxes(pages: Pages, write: Callable[..., tuple[Path, Document]]) -> None:
    def draw(pdf: canvas.Canvas) -> None:
        pdf.setCropBox((50, 500, 450, 700), name="crop")
        pdf.drawString(100, 600, "Inside")
        pdf.drawString(100, 100, "Outside")

    path, document = write(draw)
    image = pages.image(path, document, 1, [(0, len(document.text))], width=800)
    assert (image.width, image.height) == (800, 400)
    end = 100 + stringWidth("Inside", "Helvetica", 20)
    expected = about(50 / 400, (700 - 619) / 200, (end - 50) / 400, (700 - 595) / 200)
    assert image.boxes == (expected,)
    assert yellow_box(image) == pytest.approx(image.boxes[0], abs=0.03)


@pytest.mark.parametrize("name", ["minsk-report.pdf", "trump-era-brief.pdf"])
def test_every_page_of_the_samples(pages: Pages, name: str) -> None:
    """Dark pixels lie in every box of a page's whole text, and none outside of them all."""
    document = read_file(SEEDS / name, name)
    for mark in (mark for mark in document.marks if mark.kind == "page"):
        image = pages.image(SEEDS / name, document, mark.number, [(0, len(document.text))])
        shown = decoded(image).convert("L")
        assert image.boxes
        for left, top, right, bottom in image.boxes:
            area = (
                round(left * image.width) - 2,
                round(top * image.height) - 2,
                round(right * image.width) + 2,
                round(bottom * image.height) + 2,
            )
            assert shown.crop(area).getextrema()[0] < 140  # type: ignore[operator]
            shown.paste(255, area)
        rest = shown.point(lambda value: value < 100 and 255)
        assert rest.getbbox() is None


@pytest.mark.parametrize(
    ("size", "expected"),
    [((100, 5000), (128, 6400)), ((14400, 10), (1600, 1)), ((300, 300), (1600, 1600))],
)
def test_pixels_are_bounded(
    pages: Pages,
    write: Callable[..., tuple[Path, Document]],
    size: tuple[float, float],
    expected: tuple[int, int],
) -> None:
    path, document = write(lambda pdf: pdf.drawString(1, 1, "a"), size=size)
    image = pages.image(path, document, 1, [(0, 1)], width=50_000)
    assert decoded(image).size == pytest.approx(expected, abs=1)


def test_errors_are_one_line(pages: Pages, tmp_path: Path) -> None:
    source = SEEDS / "minsk-report.pdf"
    document = read_file(source, "minsk-report.pdf")
    path = tmp_path / "report.pdf"
    count = sum(mark.kind == "page" for mark in document.marks)

    def reason(page: int = 1, of: Document = document, at: Path = path) -> str:
        with pytest.raises(ReadError) as caught:
            pages.image(at, of, page, [(0, 5)])
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "is gone" in reason()
    path.write_bytes(source.read_bytes())
    assert pages.image(path, document, 1, [(0, 5)]).boxes  # kept from now on
    assert f"has no page {count + 1}" in reason(count + 1)
    assert "is not a PDF" in reason(of=Document("a.txt", "words"))
    more = Mark(len(document.text), "page", count + 1)
    longer = Document("a", document.text, media_type="application/pdf", marks=(more,))
    assert "has changed" in reason(count + 1, of=longer)
    path.write_bytes((SEEDS / "trump-era-brief.pdf").read_bytes())
    assert "has changed" in reason()
    path.write_text("plain words")
    assert "is not a PDF" in reason()
    path.write_bytes(b"%PDF-1.4\nrubbish\n%%EOF")
    assert "damaged" in reason()
    path.unlink()
    assert "is gone" in reason()
    path.mkdir()
    assert "is a folder" in reason()


def test_a_page_that_takes_too_long_costs_an_error_only(
    write: Callable[..., tuple[Path, Document]],
) -> None:
    def slow(pdf: canvas.Canvas) -> None:
        pdf.drawString(60, 600, "Words")
        pdf._code += [f"0 0 m 600 {at % 800} l 9 {at % 7} 300 {at % 5} re f*" for at in range(400)]
        pdf._code += ["q 0 0 600 800 re W n /a sh Q"] * 10
        path = " ".join(f"{at * 7 % 600} {at * 13 % 800} l" for at in range(6000))
        pdf._code += [f"0 0 m {path} h f*"] * 60

    path, document = write(slow, lambda pdf: pdf.drawString(60, 600, "Quick"))
    with Pages(Limits(seconds=1.5)) as pages:
        with pytest.raises(ReadError, match=r"takes longer than 1.5 s"):
            pages.image(path, document, 1, [], width=1600)
        assert pages.image(path, document, 2, []).width == 1000


def test_a_lost_process_costs_no_image_and_a_closed_one_gives_none() -> None:
    path = SEEDS / "minsk-report.pdf"
    document = read_file(path, path.name)
    pages = Pages()
    first = pages.image(path, document, 1, [(0, 5)])
    process = pages._worker._process
    assert process is not None
    process.kill()
    process.wait()
    assert pages.image(path, document, 1, [(0, 5)]) is first  # no process is needed for this one
    assert pages.image(path, document, 1, [(0, 6)]).png != first.png
    pages.close()
    with pytest.raises(ReadError, match="stopped"):
        pages.image(path, document, 1, [(0, 7)])


def test_images_are_kept_by_number_and_by_bytes() -> None:
    path = SEEDS / "minsk-report.pdf"
    document = read_file(path, path.name)

    def image(pages: Pages, end: int) -> PageImage:
        return pages.image(path, document, 1, [(0, end)], width=200)

    with Pages(keep=2) as pages:
        one, two = image(pages, 5), image(pages, 6)
        assert image(pages, 5) is one  # used again, so the other is the oldest
        image(pages, 7)
        assert image(pages, 5) is one and image(pages, 6) is not two
    with Pages(keep_bytes=len(one.png)) as pages:
        one = image(pages, 5)
        assert image(pages, 5) is one
        image(pages, 9)
        assert image(pages, 5) is not one


def test_threads_share_one_process() -> None:
    path = SEEDS / "minsk-report.pdf"
    document = read_file(path, path.name)
    got: dict[int, PageImage] = {}
    with Pages() as pages:

        def ask(at: int) -> None:
            got[at] = pages.image(path, document, 1, [(0, 5 + at % 3)], width=200)

        threads = [threading.Thread(target=ask, args=(at,)) for at in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(got) == 9 and got[0] is got[3] is got[6] and got[0] != got[1]


def test_page_image_is_the_same_by_a_process_of_its_own(pages: Pages) -> None:
    path = SEEDS / "minsk-report.pdf"
    document = read_file(path, path.name)
    assert page_image(path, document, 1, [(0, 9)]) == pages.image(path, document, 1, [(0, 9)])


def test_only_the_page_asked_for_is_loaded(pages: Pages, tmp_path: Path) -> None:
    """A document of many pages, of which all others may be anything."""
    path = tmp_path / "long.pdf"
    style = getSampleStyleSheet()["Normal"]
    SimpleDocTemplate(str(path)).build(
        [part for at in range(20) for part in (Paragraph(f"Page {at} words", style), PageBreak())]
    )
    document = read_file(path, "long.pdf")
    marks = [mark for mark in document.marks if mark.kind == "page"]
    # The other pages of this one say something else: only the one that is asked for is compared.
    last = marks[-1].start
    other = Document(
        "long.pdf", "x" * last + document.text[last:], "", None, document.media_type, document.marks
    )
    assert len(pages.image(path, other, len(marks), [(last, last + 4)]).boxes) == 1
    with pytest.raises(ReadError, match="has changed"):
        pages.image(path, other, 1, [])


def test_what_the_process_answers_is_checked() -> None:
    with Image.new("RGB", (10, 20)) as image:
        file = io.BytesIO()
        image.save(file, "PNG")
    png = base64.b64encode(file.getvalue()).decode()
    assert _checked({"png": png, "boxes": [[0, 0.5, 1, 1]]}, 10).boxes == ((0.0, 0.5, 1.0, 1.0),)
    for bad in (
        {"png": png},
        {"png": "GIF", "boxes": []},
        {"png": base64.b64encode(b"<svg/>").decode(), "boxes": []},
        {"png": png, "boxes": [[0, 0, 2, 1]]},
        {"png": png, "boxes": [[0, 0, float("nan"), 1]]},
    ):
        with pytest.raises(ReadError, match="nonsense"):
            _checked(bad, 10)
    with pytest.raises(ReadError, match="nonsense"):
        _checked({"png": png, "boxes": []}, 9)
