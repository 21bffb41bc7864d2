// Opens sources: one listener for every marker, present and to come. Text never becomes markup here.
(() => {
  "use strict";
  let opener = null;

  const flash = (target) => {
    const name = target.id.replace(/^src-/, "cite-");
    document.querySelectorAll("mark.fn-lit").forEach((mark) => mark.classList.remove("fn-lit"));
    for (const mark of document.getElementsByClassName(name)) mark.classList.add("fn-lit");
  };

  const open = (id, link) => {
    const target = document.getElementById(id);
    if (!target) return;
    const section = target.closest(".fn-turn");
    document.querySelectorAll(".fn-turn").forEach((one) => { one.hidden = one !== section; });
    document.querySelectorAll(".fn-open").forEach((one) => one.classList.remove("fn-open"));
    link.classList.add("fn-open");
    flash(target);
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
    opener = link;
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#src-"]');
    if (link) {
      event.preventDefault();
      open(link.getAttribute("href").slice(1), link);
      return;
    }
    if (event.target.closest?.("#fn-theme")) {
      const dark = document.body.classList.toggle("dark");
      try { localStorage.setItem("footnote-theme", dark ? "dark" : "light"); } catch { /* private window */ }
    }
  });

  // Escape leads back from a source to the marker that opened it.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && opener?.isConnected) opener.focus();
  });

  // The chat component reads a bubble's markup aloud; name the speaker instead.
  const name = () => {
    for (const [kind, label] of [["bot", "Answer"], ["user", "Question"]]) {
      document.querySelectorAll(`#fn-chat [data-testid="${kind}"]`).forEach((bubble) => {
        if (bubble.getAttribute("aria-label") !== label) bubble.setAttribute("aria-label", label);
      });
    }
  };

  // While an answer is written the box is closed; give it the focus back unless it went elsewhere.
  const refocus = (changes) => {
    for (const { attributeName, target } of changes) {
      const open = attributeName === "disabled" && target.matches("#fn-box textarea") && !target.disabled;
      if (open && document.activeElement === document.body) target.focus({ preventScroll: true });
    }
  };

  // A new answer's sources begin at the top, wherever the last ones were left.
  let newest = null;
  const rewind = () => {
    const last = document.querySelector("#fn-sources .fn-turn:last-child")?.id ?? null;
    if (last !== newest) document.getElementById("fn-sources")?.scrollTo(0, 0);
    newest = last;
  };

  const start = () => {
    const watch = { subtree: true, childList: true, attributeFilter: ["aria-label", "disabled"] };
    new MutationObserver((changes) => { name(); refocus(changes); rewind(); }).observe(document.body, watch);
    let kept = null;
    try { kept = localStorage.getItem("footnote-theme"); } catch { /* private window */ }
    if (kept) document.body.classList.toggle("dark", kept === "dark");
  };
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
})();
