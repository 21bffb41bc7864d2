// The panel of sources: opens the exact words behind a marker and walks through them. One fragment for
// each turn, fetched once and kept. Text never becomes markup here.
(() => {
  "use strict";
  const { t, el } = fn;
  const MARKER = 'a[href^="#src-"]';
  const KEPT = 30; // turns whose fragment is kept
  const VIEW = "footnote-source-view";
  const kept = new Map(); // turn -> {root, done}: root is null until it is there
  let opener = null; // the marker that the open passage belongs to: {turn, marker, link}
  let asked = 0; // counts openings, so that a late reply does not replace a later one

  const panel = () => document.getElementById("fn-panel");
  const told = (link) => {
    const name = link.getAttribute("href").slice("#src-".length);
    const cut = name.lastIndexOf("-"); // a turn's id may hold hyphens, a marker does not
    return { turn: name.slice(0, cut), marker: name.slice(cut + 1), link };
  };

  // Fragments

  const fetched = (turn) => {
    const known = kept.get(turn);
    if (known) return known;
    const token = document.querySelector("[data-shared]")?.dataset.shared;
    const path = token ? `/panel/shared/${encodeURIComponent(token)}` : `/panel/sources/${encodeURIComponent(turn)}`;
    const entry = { root: null, done: null };
    entry.done = fn.html(path).then((html) => {
      const root = el("div", { class: "fn-sources-turn" });
      fn.fill(root, html);
      entry.root = root;
      return root;
    });
    entry.done.catch(() => { if (kept.get(turn) === entry) kept.delete(turn); });
    kept.set(turn, entry);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    return entry;
  };
  const put = (...children) => panel()?.replaceChildren(...children);
  const plain = (...children) => el("div", { class: "fn-sources fn-sources-plain" }, el("h2", { tabindex: "-1" }, t("sources.title")), ...children);
  const sample = () => el("div", { class: "fn-sources-sample", "aria-hidden": "true" },
    el("i"), el("span", { class: "fn-number" }, "1"), el("mark", {}, el("i")), el("i"));
  const empty = (key = "sources.empty") => put(plain(sample(), el("p", {}, t(key))));
  const waiting = () => put(plain(
    el("p", { class: "fn-sources-wait", role: "status" }, t("sources.loading")),
    el("div", { class: "fn-sources-bones", "aria-hidden": "true" }, el("i"), el("i"), el("i"))));
  const failed = (turn, reason) => put(plain(
    el("p", { role: "alert" }, t("sources.failed", { reason })),
    el("button", { type: "button", class: "fn-button", "data-do": "sources.again", "data-turn": turn }, t("sources.again"))));

  const lay = (root) => {
    if (root.parentElement !== panel()) put(root);
    view(fn.recall(VIEW) ?? "page");
  };
  // Puts a turn's sources into the panel, at once where they are kept; `then` gets their element.
  const show = (turn, then = () => {}) => {
    const mine = ++asked;
    const entry = fetched(turn);
    if (entry.root) {
      lay(entry.root);
      then(entry.root);
      return;
    }
    const slow = setTimeout(() => { if (mine === asked) waiting(); }, 120);
    entry.done.then(
      (root) => { if (mine === asked) { lay(root); then(root); } },
      (error) => { if (mine === asked) failed(turn, error.message); },
    ).finally(() => clearTimeout(slow));
  };

  // Quotes

  const order = (anchor) => Number(anchor.dataset.marker.replace(/\D/g, ""));
  const anchors = (root) => [...root.querySelectorAll(".fn-anchor")].sort((a, b) => order(a) - order(b));
  const shown = () => panel()?.querySelector(".fn-sources-turn");
  const current = () => shown()?.querySelector(".fn-anchor.fn-here");

  const open = (link, began) => {
    opener = told(link);
    if (panel().contains(link)) opener.link = null; // the way back leads to the answer
    fn.card.hide();
    if (fn.narrow()) fn.drawer("panel", true);
    show(opener.turn, (root) => {
      arrive(root);
      performance.measure("fn-source-open", { start: began });
    });
  };
  const arrive = (root) => {
    const target = opener && root.querySelector(`#${CSS.escape(`src-${opener.turn}-${opener.marker}`)}`);
    if (!target) {
      root.querySelector("h2")?.focus();
      return;
    }
    mark(linkTo(opener));
    light(root, target);
  };
  const mark = (link) => {
    for (const one of document.querySelectorAll("a.fn-open")) one.classList.remove("fn-open");
    link?.classList.add("fn-open");
  };
  const light = (root, anchor) => {
    for (const one of root.querySelectorAll(".fn-lit, .fn-here")) one.classList.remove("fn-lit", "fn-here");
    anchor.classList.add("fn-here");
    const name = `cite-${anchor.id.slice("src-".length)}`;
    for (const one of root.getElementsByClassName(name)) one.classList.add("fn-lit");
    focusOn(anchor);
    reveal(root, root.querySelector("mark.fn-lit") ?? anchor);
    say(root, anchor);
  };
  const focusOn = (anchor) => {
    anchor.focus({ preventScroll: true });
    // A drawer that only begins to open can't take the focus yet.
    if (document.activeElement !== anchor) requestAnimationFrame(() => anchor.focus({ preventScroll: true }));
  };
  // Brings the words to the middle of the panel at once. Only the panel moves, never the page around it,
  // unless the panel is as long as its content, as on the page of a shared answer.
  const reveal = (root, words) => {
    const frame = panel();
    const table = words.closest(".fn-table");
    const at = words.getBoundingClientRect();
    if (table) table.scrollLeft += Math.max(0, at.right - table.getBoundingClientRect().right + 8);
    if (frame.scrollHeight <= frame.clientHeight + 1) {
      words.scrollIntoView({ block: "center", behavior: "instant" });
      return;
    }
    const head = root.querySelector(".fn-sources-head").offsetHeight;
    const spare = (frame.clientHeight - head - at.height) / 2;
    frame.scrollTop += at.top - frame.getBoundingClientRect().top - head - Math.max(8, spare);
  };
  const say = (root, anchor) => {
    const all = anchors(root);
    const place = { at: all.indexOf(anchor) + 1, of: all.length };
    const { title, where, status } = anchor.dataset;
    const about = [title, where, status.replace(/^\S+ /, "")].filter(Boolean).join(", ");
    document.getElementById("fn-source-said").textContent = t("sources.said", { ...place, about });
    root.querySelector(".fn-sources-at").textContent = t("sources.position", place);
  };
  const step = (by) => {
    const root = shown();
    const all = root ? anchors(root) : [];
    if (!all.length) return;
    const at = all.indexOf(current());
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : (at + by + all.length) % all.length];
    const { turn } = root.querySelector(".fn-sources").dataset;
    opener = { turn, marker: next.dataset.marker, link: null };
    mark(linkTo(opener));
    light(root, next);
  };
  // The marker in the answer; the chat may have drawn it anew since.
  const linkTo = ({ turn, marker, link }) => link?.isConnected ? link
    : [...document.querySelectorAll(MARKER)].find(
      (one) => one.getAttribute("href") === `#src-${turn}-${marker}` && !panel().contains(one));
  const back = () => {
    if (fn.narrow()) fn.drawer("panel", false);
    const link = opener && linkTo(opener);
    link?.focus({ preventScroll: true });
    link?.scrollIntoView({ block: "nearest", behavior: "instant" });
  };

  // Text or page, for all PDFs; kept by the browser

  const view = (wanted) => {
    panel()?.classList.toggle("fn-text-only", wanted === "text");
    for (const one of panel()?.querySelectorAll('[data-do="sources.view"]') ?? []) {
      one.setAttribute("aria-pressed", String(one.dataset.view === wanted));
    }
  };
  const gone = (event) => {
    const figure = event.target.closest?.(".fn-page");
    if (!figure) return;
    figure.querySelector("button").hidden = true;
    figure.querySelector("figcaption").hidden = false;
  };
  const zoom = (button) => {
    const picture = button.querySelector("img");
    const close = el("button", { type: "button", class: "fn-button", onclick: () => box.close() }, t("sources.zoom.close"));
    const box = el("dialog", { class: "fn-zoom", "aria-label": picture.alt },
      close, el("div", { tabindex: "0", role: "region", "aria-label": picture.alt }, el("img", { src: picture.src, alt: picture.alt })));
    box.addEventListener("close", () => { box.remove(); button.focus(); });
    box.addEventListener("keydown", (event) => event.stopPropagation()); // Escape closes this alone
    document.body.append(box);
    box.showModal();
  };

  const actions = {
    "sources.previous": () => step(-1),
    "sources.next": () => step(1),
    "sources.back": back,
    "sources.again": ({ dataset }) => show(dataset.turn, arrive),
    "sources.view": ({ dataset }) => { fn.remember(VIEW, dataset.view); view(dataset.view); },
    "sources.zoom": zoom,
    "sources.copy": ({ dataset }) => fn.copy(dataset.quote, t("sources.copied")),
    "sources.read": ({ dataset }) => fn.emit("read", {
      collection: shown().querySelector(".fn-sources").dataset.collection,
      document: dataset.document, start: Number(dataset.start), end: Number(dataset.end),
    }),
  };

  // Events

  const press = (event) => {
    const link = event.target.closest?.(MARKER);
    if (link) {
      event.preventDefault();
      open(link, event.timeStamp);
      return;
    }
    const button = event.target.closest?.('[data-do^="sources."]');
    if (button) actions[button.dataset.do]?.(button);
  };
  const writing = (target) => target.closest?.("input, textarea, select, [contenteditable], dialog, [role=menu]");
  const key = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey || writing(event.target)) return;
    const inside = panel()?.contains(event.target) && !event.target.closest(".fn-table");
    const backwards = getComputedStyle(document.body).direction === "rtl" ? -1 : 1;
    // By the key's place too: on a Cyrillic keyboard the brackets are letters.
    const by = { "[": -1, "]": 1 }[event.key] ?? { BracketLeft: -1, BracketRight: 1 }[event.code]
      ?? (inside ? { ArrowLeft: -backwards, ArrowRight: backwards }[event.key] : undefined);
    if (by && shown()?.checkVisibility({ visibilityProperty: true })) {
      event.preventDefault();
      step(by);
    } else if (event.key === "Escape" && !fn.card.hide() && panel()?.contains(event.target) && opener) back();
  };

  document.addEventListener("click", press);
  document.addEventListener("keydown", key);
  document.addEventListener("error", gone, true); // an image's error does not bubble

  fn.on("ready", () => {
    document.body.append(el("p", { id: "fn-source-said", class: "fn-hidden", role: "status", "aria-live": "polite" }));
    const shared = document.querySelector(`[data-shared] ${MARKER}`);
    if (shared) show(told(shared).turn);
    else empty();
  });
  fn.on("answered", ({ turn }) => show(turn, () => { opener = null; panel().scrollTo(0, 0); }));
  // The latest answers of a conversation that was opened: likely to be clicked next.
  const warm = () => {
    const turns = [...document.querySelectorAll(MARKER)].map((link) => told(link).turn);
    for (const turn of [...new Set(turns)].slice(-3)) fetched(turn);
  };
  fn.on("conversation", (id) => {
    asked++;
    opener = null;
    empty(id ? "sources.empty.open" : "sources.empty");
    if (id) setTimeout(warm, 1000);
  });
  fn.on("view", (name) => { if (name === "documents") kept.clear(); }); // documents may change there

  fn.sources = { MARKER, told, fetched };
})();
