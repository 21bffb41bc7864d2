"""HTML: the words that a reader of the page would see, with headings, lists and tables.

Hidden elements are left out, since a page can use them to speak to a program behind its reader's
back. Looked at are inline styles, attributes, and the page's own style rules for a single class
or id; no other style sheets. Scripts are not run and nothing is fetched.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from rag.read.draft import Draft, Writer, one_line, parse_date
from rag.read.limits import Limits
from rag.read.tables import table_lines
from rag.read.text import decode

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

__all__ = ["read_html", "write_html"]

_SKIPPED = frozenset(
    "script style noscript template head svg math iframe object embed canvas audio video select "
    "datalist button input textarea -comment !doctype -document".split()
)
_BOILERPLATE = frozenset("nav header footer aside".split())
_INLINE = frozenset(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark q ruby "
    "rt rp s samp small span strike strong sub sup time tt u var wbr -text".split()
)
_LINE_ENDS = frozenset("br li dt dd tr td th option".split())
_HEADING = re.compile(r"h([1-6])")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w:.-]{2,40})""", re.IGNORECASE)
_WHITE = re.compile(r"white|#fff(?:fff)?|rgba?\((?:255,){2}255(?:,1)?\)|hsla?\(\d+,\d+%,100%\)")
_CONCEALED = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|opacity:(?:0(?:\.0\d*)?|\.0\d*)%?(?:;|!|$)"
    r"|font-size:(?:0(?:\.0\d*)?(?:px|pt|r?em|%)?|[01]?(?:\.\d+)?(?:px|pt|%))(?:;|!|$)"
    r"|text-indent:-\d{3,}|(?:left|top|right|bottom):-\d{4,}|transform:scale\(0(?:\.0+)?\)"
    r"|(?:^|;)color:(?:transparent|(?:rgb|hsl)a\([^()]*[,/]0?(?:\.0+)?%?\)|#[0-9a-f]{3}0(?:;|!|$)|"
    r"#[0-9a-f]{6}00(?:;|!|$))|clip:rect\(0|clip-path:inset\((?:50|100)%"
)
_FLAT = re.compile(r"(?:^|;)(?:max-)?(?:height|width):0(?:px|pt|r?em|%)?(?:;|!|$)")
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_NOT_RULES = re.compile(r"/\*.*?\*/|@[^{};]*(?:;|\{(?:[^{}]*\{[^{}]*\})*[^{}]*\})", re.DOTALL)
_SIMPLE = re.compile(r"[a-z0-9]*[.#][a-z_][\w-]*", re.IGNORECASE)
_SHOWS = re.compile(
    r"(?:^|;)(?:display|visibility|opacity|font-size|height|max-height|color|left):"
)
_MOST_RULES, _MOST_STYLE = 2000, 200_000
_DATES = (  # most explicit first: where a page says when it was published
    'meta[property="article:published_time"]',
    'meta[name="date"]',
    'meta[name="dc.date" i]',
    'meta[name="dcterms.date" i]',
    'meta[name="dcterms.created" i]',
    'meta[itemprop="datePublished"]',
    'meta[property="article:modified_time"]',
    "time[datetime]",
)


def read_html(data: bytes, limits: Limits) -> Draft:
    """A web page; title from `<title>` or the first `<h1>`, date from its meta elements."""
    declared = _CHARSET.search(data[:4096])
    return write_html(decode(data, declared[1].decode("ascii") if declared else None), limits)


def write_html(markup: str, limits: Limits) -> Draft:
    """The draft of decoded `markup`."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(markup)
    writer = Writer(limits.max_text_chars)
    if tree.body is not None:
        _hide_by_rules(tree)
        main = next((n for n in tree.css("main, [role=main]") if not _hidden(n)), None)
        skip = _BOILERPLATE if main is None and tree.css_first("article") else frozenset[str]()
        _Page(writer, skip if main is None else frozenset({"nav"})).write(main or tree.body)
    return writer.finish(_title(tree), _date(tree))


class _Page:
    """Walks one page in document order; every block element begins and ends a block of text."""

    def __init__(self, writer: Writer, skip: frozenset[str]) -> None:
        self._writer = writer
        self._skip = skip
        self._line: list[str] = []
        self._prefix = ""
        self._gap = "\n"

    def write(self, root: LexborNode) -> None:
        """Write everything visible under `root`. Iterative: pages nest as deep as they like."""
        articles = 0  # inside how many: an article's own header and aside are content
        stack = [(root, False)]
        while stack:
            node, leaving = stack.pop()
            tag = node.tag or ""
            if tag == "article":
                articles += -1 if leaving else 1
            if leaving:
                self._boundary(tag, leaving)
            elif tag == "-text":
                self._line.append(node.text_content or "")
            elif tag == "img":
                self._line.append(f" {node.attributes.get('alt') or ''} ")
            elif tag not in self._skip or articles:
                self._boundary(tag, leaving)
                if not self._whole(node, tag):
                    stack.append((node, True))
                    stack += [(child, False) for child in reversed(_children(node))]
        self._flush()

    def _boundary(self, tag: str, leaving: bool) -> None:
        if tag in _INLINE:
            return
        self._flush()
        if tag not in _LINE_ENDS:
            self._gap = "\n\n"
        if tag == "li":
            self._prefix = "" if leaving else "- "

    def _whole(self, node: LexborNode, tag: str) -> bool:
        """Write `node` at once if it is of a kind that is not walked into; else begin its block."""
        if tag == "table" and not node.css_first("table table"):  # a table in a table is layout
            self._block("\n".join(table_lines(*_cells(node))))
            self._gap = "\n\n"
            return True
        if tag == "pre":
            self._block(_words(node))
            self._gap = "\n\n"
            return True
        if match := _HEADING.fullmatch(tag):
            if words := one_line(_words(node)):
                self._writer.mark("heading", int(match[1]), words)
        return False

    def _flush(self) -> None:
        words = one_line("".join(self._line), 1 << 30)
        self._line.clear()
        if words:
            self._block(self._prefix + words)
            self._prefix = ""

    def _block(self, words: str) -> None:
        self._writer.block(words, self._gap)
        self._gap = "\n"


def _cells(table: LexborNode) -> tuple[list[list[str]], int | None]:
    """The rows of a table, cells that span columns or rows repeated, and its number of header rows.

    None for the number where no row is made of `<th>` alone (or stands in `<thead>`).
    """
    rows: list[list[str]] = []
    header = 0
    hanging: dict[int, tuple[int, str]] = {}  # column -> rows still to fill, words
    for tr in table.css("tr"):
        if _hidden(tr):
            continue
        row: list[str] = []
        kinds = set()
        cells = [node for node in _children(tr) if node.tag in ("td", "th")]
        for cell in cells:
            _fill(row, hanging)
            kinds.add(cell.tag)
            words = one_line(_words(cell), 1 << 30)
            for _ in range(_span(cell, "colspan")):
                if _span(cell, "rowspan") > 1:
                    hanging[len(row)] = (_span(cell, "rowspan") - 1, words)
                row.append(words)
        _fill(row, hanging)
        parent = tr.parent.tag if tr.parent is not None else ""
        if header == len(rows) and (kinds == {"th"} or (parent == "thead" and kinds)):
            header += 1
        rows.append(row)
    return rows, header or None


def _fill(row: list[str], hanging: dict[int, tuple[int, str]]) -> None:
    """Append what cells of earlier rows, spanning down, put at the next columns of `row`."""
    while len(row) in hanging:
        left, words = hanging.pop(len(row))
        if left > 1:
            hanging[len(row)] = (left - 1, words)
        row.append(words)


def _span(cell: LexborNode, name: str) -> int:
    value = cell.attributes.get(name) or "1"
    return min(max(int(value), 1), 50) if value.isascii() and value.isdigit() else 1


def _children(node: LexborNode) -> list[LexborNode]:
    children = []
    child = node.child
    while child is not None:
        if not _hidden(child):
            children.append(child)
        child = child.next
    return children


def _words(root: LexborNode) -> str:
    """The visible words under `root`, with a blank or line end where a block element begins."""
    words: list[str] = []
    stack = _children(root)[::-1]
    while stack:
        node = stack.pop()
        if node.tag == "-text":
            words.append(node.text_content or "")
            continue
        if node.tag not in _INLINE:
            words.append("\n")
        stack += _children(node)[::-1]
    return "".join(words)


def _hidden(node: LexborNode) -> bool:
    """Whether the page's reader can't see `node`, as far as its own attributes tell."""
    tag = node.tag or ""
    if tag == "-text":
        return False
    if tag in _SKIPPED:
        return True
    attributes = node.attributes
    if not attributes:
        return False
    if "hidden" in attributes:
        return True
    style = re.sub(r"\s+", "", attributes.get("style") or "").lower()
    return bool(style) and (_conceals(style) or _unseen_colour(node, style))


def _conceals(style: str) -> bool:
    """Whether declarations (lower case, without blanks) make an element's words unreadable."""
    return bool(_CONCEALED.search(style)) or (
        "overflow:hidden" in style and bool(_FLAT.search(style))
    )


def _hide_by_rules(tree: LexborHTMLParser) -> None:
    """Give `hidden` to what the page's own style rules hide.

    Only rules for one class or id count, and not those for print or narrow screens. What another
    rule shows again (".tab.open") is opened by a click, so it is there for a reader.
    """
    sheets = " ".join(node.text() for node in tree.css("style"))
    rules = [
        (selectors, re.sub(r"\s+", "", declarations).lower())
        for selectors, declarations in islice(
            _RULE.findall(_NOT_RULES.sub(" ", sheets[:_MOST_STYLE])), _MOST_RULES
        )
    ]
    for selectors, declarations in rules:
        if not _conceals(declarations):
            continue
        for selector in (one.strip() for one in selectors.split(",")):
            if not _SIMPLE.fullmatch(selector):
                continue
            name = re.escape(re.split("[.#]", selector)[1])
            shown = re.compile(rf"[.#]{name}(?![\w-])")
            if any(shown.search(s) and not _conceals(d) and _SHOWS.search(d) for s, d in rules):
                continue
            for node in tree.css(selector):
                node.attrs["hidden"] = ""


def _unseen_colour(node: LexborNode, style: str) -> bool:
    """Whether the inline text colour is that of the nearest inline background (white if none)."""
    colour = re.search(r"(?:^|;)color:([^;!]+)", style)
    if not colour:
        return False
    above: LexborNode | None = node
    while above is not None:
        style = re.sub(r"\s+", "", (above.attributes or {}).get("style") or "").lower()
        ground = re.search(r"(?:^|;)background(?:-color)?:([^;!]+)", style)
        if ground or (above.attributes or {}).get("bgcolor"):
            return ground is not None and (
                ground[1] == colour[1] or bool(_WHITE.match(ground[1]) and _WHITE.match(colour[1]))
            )
        above = above.parent if above.tag not in ("html", "body") else None
    return bool(_WHITE.fullmatch(colour[1]))


def _title(tree: LexborHTMLParser) -> str:
    for selector in ("head title", "h1"):
        node = tree.css_first(selector)
        if node is not None and (words := one_line(_words(node))):
            return words
    return ""


def _date(tree: LexborHTMLParser) -> str | None:
    for selector in _DATES:
        node = tree.css_first(selector)
        if node is not None:
            given = node.attributes.get("content") or node.attributes.get("datetime")
            if given and (found := parse_date(given)):
                return found
    return None
