// The frame around the conversation: header, sidebar, panel, documents; views, drawers, theme, language.
// It stands before the chat component has loaded, so that the page is of use at once.
(() => {
  "use strict";
  const { t, el, state, remember, recall } = fn;
  const THEME = "footnote-theme";

  const paint = (dark) => document.documentElement.classList.toggle("dark", dark);
  const isDark = () => document.documentElement.classList.contains("dark");
  const chosen = recall(THEME);
  paint(chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);

  const icon = (name, label, attributes = {}) => el("button",
    { type: "button", class: `fn-icon fn-icon-${name}`, title: label, ...attributes }, el("span", { class: "fn-hidden" }, label));

  const tab = (view) => el("button",
    { type: "button", class: "fn-tab", id: `fn-tab-${view}`, "aria-pressed": String(view === "ask"), onclick: () => fn.show(view) },
    t(`page.view.${view}`));

  const header = () => el("header", { id: "fn-header" },
    icon("menu", t("page.conversations"), { id: "fn-open-sidebar", "aria-expanded": "false", "aria-controls": "fn-sidebar", onclick: () => drawer("sidebar") }),
    el("a", { href: "/", class: "fn-brand", "aria-label": "Footnote" }, el("img", { src: "/favicon.ico", alt: "", width: 28, height: 28 }), el("span", {}, "Footnote")),
    el("label", { class: "fn-hidden", for: "fn-collection" }, t("page.collection")),
    el("select", { id: "fn-collection", onchange: (event) => fn.setCollection(event.target.value) }),
    el("div", { class: "fn-tabs", role: "group", "aria-label": t("page.views") }, tab("ask"), tab("documents")),
    el("span", { class: "fn-space" }),
    el("label", { class: "fn-hidden", for: "fn-language" }, t("page.language")),
    el("select", { id: "fn-language", onchange: (event) => speak(event.target.value) },
      ...[["en", "English"], ["uk", "Українська"]].map(([value, label]) => el("option", { value, lang: value, selected: value === state.lang }, label))),
    icon("theme", t("page.theme"), { id: "fn-theme", onclick: () => { paint(!isDark()); mirror(); remember(THEME, isDark() ? "dark" : "light"); } }),
    el("span", { id: "fn-person" }),
    icon("panel", t("page.sources"), { id: "fn-open-panel", "aria-expanded": "false", "aria-controls": "fn-panel", onclick: () => drawer("panel") }));

  const build = () => {
    document.body.prepend(
      el("h1", { class: "fn-hidden" }, "Footnote"),
      el("a", { href: "#fn-box", class: "fn-skip", onclick: (event) => { event.preventDefault(); fn.show("ask"); fn.focus(); } }, t("page.skip")),
      header(),
      el("nav", { id: "fn-sidebar", "aria-label": t("page.conversations") }),
      el("section", { id: "fn-welcome", "aria-label": t("page.welcome.label") }));
    document.body.append(
      el("aside", { id: "fn-panel", "aria-label": t("page.sources") }),
      el("section", { id: "fn-documents", "aria-label": t("page.view.documents"), hidden: true }),
      el("div", { id: "fn-veil", hidden: true, onclick: () => closeDrawers() }),
      el("p", { id: "fn-offline", role: "alert", hidden: true }, t("page.offline")),
      el("div", { id: "fn-status", role: "status", "aria-live": "polite" }),
      el("div", { id: "fn-alerts", role: "alert" }));
    mirror();
  };

  // Gradio's own components look at the body's class.
  const mirror = () => document.body.classList.toggle("dark", isDark());

  const speak = (language) => {
    document.cookie = `fn-lang=${language}; Path=/; SameSite=Strict; Max-Age=31536000`;
    location.reload();
  };

  // Drawers: at phone width the sidebar and the panel lie over the conversation.
  const drawer = (name, open) => {
    const opened = document.body.classList.toggle(`fn-${name}-open`, open);
    document.getElementById("fn-veil").hidden = !document.body.matches(".fn-sidebar-open, .fn-panel-open");
    document.getElementById(`fn-open-${name}`).setAttribute("aria-expanded", String(opened));
    if (opened && fn.narrow()) {
      document.querySelector(`#fn-${name} :is(button, a, input)`)?.focus({ preventScroll: true });
    }
  };
  const closeDrawers = () => { drawer("sidebar", false); drawer("panel", false); };

  const show = (view) => {
    document.body.classList.toggle("fn-view-documents", view === "documents");
    document.getElementById("fn-documents").hidden = view !== "documents";
    for (const one of ["ask", "documents"]) document.getElementById(`fn-tab-${one}`).setAttribute("aria-pressed", String(one === view));
    closeDrawers();
    fn.emit("view", view);
  };

  // Collections

  const setCollection = (name, { keep = false } = {}) => {
    if (name === state.collection) return;
    state.collection = name;
    remember("footnote-collection", name);
    const select = document.getElementById("fn-collection");
    select.value = name;
    setScope(fn.NOTHING);
    fn.emit("collection", name);
    if (!keep) fn.open("", { stay: true });
  };
  const listCollections = async () => {
    const found = await fn.json("/panel/collections");
    const select = document.getElementById("fn-collection");
    select.replaceChildren(...found.map((one) => el("option", { value: one.name }, one.name)));
    const names = found.map((one) => one.name);
    const before = state.collection || recall("footnote-collection");
    const next = names.includes(before) ? before : names[0] ?? "";
    if (next === state.collection) select.value = next;
    else setCollection(next, { keep: true });
    select.hidden = names.length < 2;
    fn.emit("collections", found);
    return found;
  };

  // Scope: what the next question may look at

  const isEmpty = (scope) => !scope.documents.length && !scope.kinds.length && !scope.after && !scope.before;
  const setScope = (scope) => { state.scope = { ...fn.NOTHING, ...scope }; fn.emit("scope", state.scope); };
  const scopeWords = (scope) => [
    scope.documents.length === 1 ? scope.documents[0] : scope.documents.length ? t("page.scope.documents", { n: scope.documents.length }) : "",
    scope.kinds.join(", "),
    scope.after ? t("page.scope.after", { date: scope.after }) : "",
    scope.before ? t("page.scope.before", { date: scope.before }) : "",
  ].filter(Boolean).join(" · ");

  // Who is here

  const greet = (me) => {
    state.person = me;
    const place = document.getElementById("fn-person");
    if (!me.accounts) return;
    place.replaceChildren(
      el("span", { class: "fn-name", title: t(`page.role.${me.role}`) }, el("bdi", {}, me.name)),
      el("form", { method: "post", action: "/logout" }, el("button", { class: "fn-button fn-quiet" }, t("page.logout"))));
  };

  // The connection: a server that has gone is said so; one that comes back is taken up again.

  let boot = null;
  let next = 0;
  const listen = async () => {
    clearTimeout(next);
    let now = null;
    try {
      const reply = await fetch("/health", { cache: "no-store" });
      if (reply.ok) now = (await reply.json()).boot;
    } catch { /* away */ }
    document.getElementById("fn-offline").hidden = now !== null;
    if (now && boot && now !== boot) location.reload();
    boot = now ?? boot;
    clearTimeout(next);
    next = setTimeout(listen, now ? 10_000 : 2_000);
  };
  fn.on("unreachable", () => listen());

  Object.assign(fn, { show, drawer, closeDrawers, setCollection, listCollections, setScope, scopeWords, isEmpty });

  const start = async () => {
    build();
    state.conversation = new URLSearchParams(location.search).get("c") ?? "";
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") closeDrawers(); });
    document.querySelector(".fn-brand").addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      fn.show("ask");
      fn.open("");
    });
    fn.emit("ready");
    listen();
    try {
      greet(await fn.json("/me"));
      await listCollections();
    } catch (error) {
      fn.toast(error.message, "error");
    }
  };
  fn.start = start; // called as the body begins
})();
