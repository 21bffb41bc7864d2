// The conversation's bubbles: their names for screen readers, the focus, the welcome of an empty one.
(() => {
  "use strict";
  const { t } = fn;

  // The component reads a bubble's markup aloud; name the speaker instead.
  const name = () => {
    for (const [kind, label] of [["bot", t("page.answer")], ["user", t("page.question")]]) {
      for (const bubble of document.querySelectorAll(`#fn-chat [data-testid="${kind}"]`)) {
        if (bubble.getAttribute("aria-label") !== label) {
          bubble.setAttribute("aria-label", label);
          bubble.setAttribute("role", "group");
        }
      }
    }
    // The component's notices call their heading, which holds a button, a button too.
    document.querySelectorAll('.toast-header[role="button"]').forEach((one) => { one.removeAttribute("role"); one.removeAttribute("tabindex"); });
    document.querySelectorAll("#fn-chat .fn-stage").forEach((one) => one.setAttribute("role", "status"));
    document.body.classList.toggle("fn-talking", Boolean(document.querySelector("#fn-chat .fn-question")));
  };

  const welcome = async () => {
    const place = document.getElementById("fn-welcome");
    if (fn.state.collection) fn.fill(place, await fn.html(`/panel/welcome/${encodeURIComponent(fn.state.collection)}`));
  };

  // The component calls the page's language what the browser's is, not what the reader chose.
  const root = document.documentElement;
  const speak = () => { if (root.lang !== fn.state.lang) root.lang = fn.state.lang; };
  new MutationObserver(speak).observe(root, { attributeFilter: ["lang"] });

  fn.on("ready", () => {
    const watch = new MutationObserver(name);
    watch.observe(document.body, { subtree: true, childList: true, attributeFilter: ["aria-label"] });
    document.getElementById("fn-welcome").addEventListener("click", (event) => {
      const pressed = event.target.closest("button");
      if (pressed?.dataset.question) fn.ask(pressed.dataset.question);
      if (pressed?.dataset.do === "documents.show") fn.show("documents");
    });
  });
  fn.on("collections", (found) => {
    if (!found.length) document.getElementById("fn-welcome").replaceChildren(fn.el("p", {}, t("page.welcome.none")));
  });
  fn.on("collection", () => welcome().catch((error) => fn.toast(error.message, "error")));
})();
