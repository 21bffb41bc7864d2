// The one global, `fn`: strings, requests, dialogs, the clipboard, and what the page is about right now.
// Text never becomes markup here; `fn.fill` alone takes HTML, and only what the server has escaped.
window.fn = (() => {
  "use strict";
  const STRINGS = JSON.parse(document.getElementById("fn-strings").textContent);
  const NOTHING = { documents: [], kinds: [], after: "", before: "" };
  const cookie = document.cookie.match(/(?:^|; )fn-lang=(\w+)/)?.[1];
  const wanted = [cookie, ...navigator.languages.map((one) => one.slice(0, 2))];
  const state = {
    conversation: "", collection: "", scope: NOTHING, person: null,
    lang: wanted.find((one) => one in STRINGS) ?? "en",
  };
  document.documentElement.lang = state.lang;

  // Words

  const plural = new Intl.PluralRules(state.lang);
  const t = (key, values = {}) => {
    const strings = STRINGS[state.lang];
    if (!(key in strings) && "n" in values) key += `.${plural.select(values.n)}`;
    return (strings[key] ?? key).replace(/\{(\w+)\}/g, (all, name) => String(values[name] ?? all));
  };

  // Events between the parts of the page

  const bus = new EventTarget();
  const on = (name, handler) => bus.addEventListener(name, (event) => handler(event.detail));
  const emit = (name, detail) => bus.dispatchEvent(new CustomEvent(name, { detail }));

  // What the browser keeps, and how much room there is

  const remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private window */ } };
  const recall = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const narrow = () => matchMedia("(max-width: 860px)").matches; // a phone: sidebar and panel are drawers

  // Requests, to this server alone

  const request = async (path, options = {}) => {
    let response;
    try {
      response = await fetch(path, { credentials: "same-origin", ...options });
    } catch {
      emit("unreachable");
      throw new Error(t("page.unreachable"));
    }
    if (response.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    if (response.ok) return response;
    const told = await response.json().catch(() => ({}));
    throw new Error(told.error ?? t("page.failed", { status: response.status }));
  };
  const html = async (path) => (await request(path)).text();
  const json = async (path) => (await request(path)).json();
  const post = async (path, body = {}) =>
    (await request(path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    })).json();

  // Elements

  const el = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value != null) made.setAttribute(name, value);
    }
    made.append(...children.filter((one) => one != null));
    return made;
  };
  const fill = (element, markup) => {
    const parsed = new DOMParser().parseFromString(markup, "text/html");
    element.replaceChildren(...parsed.body.childNodes);
  };

  const toast = (text, kind = "info") => {
    const shown = el("p", { class: `fn-toast fn-${kind}` }, text);
    document.getElementById(kind === "error" ? "fn-alerts" : "fn-status").append(shown);
    setTimeout(() => shown.remove(), kind === "error" ? 9000 : 4000);
  };

  const control = (field, id) => {
    const common = { id, name: field.name, required: Boolean(field.required) };
    if (field.type === "textarea") return el("textarea", { ...common, rows: 4 }, field.value ?? "");
    return el("input", { ...common, type: "text", value: field.value ?? "", autocomplete: "off" });
  };
  const labelled = (field, at) => {
    const id = `fn-field-${at}`;
    if (field.type !== "radio") {
      return el("p", { class: `fn-field fn-field-${field.type ?? "text"}` }, el("label", { for: id }, field.label), control(field, id));
    }
    const choices = field.options.map(([value, label], n) => el("label", {},
      el("input", { type: "radio", name: field.name, value, checked: field.value ? value === field.value : n === 0 }), " ", label));
    return el("fieldset", { class: "fn-field" }, el("legend", {}, field.label), ...choices);
  };

  // A modal question. Resolves to the fields' values, or to null where it was put aside.
  const dialog = ({ title, text = "", fields = [], ok, danger = false }) => new Promise((resolve) => {
    const form = el("form", { method: "dialog" },
      el("h2", { id: "fn-dialog-title" }, title),
      text ? el("p", {}, text) : null,
      ...fields.map(labelled),
      el("div", { class: "fn-dialog-buttons" },
        el("button", { type: "button", class: "fn-button fn-quiet", onclick: () => box.close() }, t("page.cancel")),
        el("button", { value: "ok", class: `fn-button ${danger ? "fn-danger" : "fn-primary"}` }, ok ?? t("page.ok"))));
    const box = el("dialog", { class: "fn-dialog", "aria-labelledby": "fn-dialog-title" }, form);
    box.addEventListener("close", () => {
      box.remove();
      resolve(box.returnValue === "ok" ? Object.fromEntries(new FormData(form)) : null);
    });
    document.body.append(box);
    box.showModal();
  });

  // The clipboard

  // Copies a text, or what a promise brings: browsers that ask for a fresh click take the promise as it
  // is. Says `done`, or shows the text for the reader to copy.
  const copy = async (pending, done) => {
    const coming = Promise.resolve(pending);
    if (!(await toClipboard(coming))) {
      const text = await coming;
      if (!byHand(text)) {
        const field = { name: "text", label: t("actions.byhand.label"), type: "textarea", value: text };
        await dialog({ title: t("actions.byhand"), fields: [field], ok: t("actions.byhand.ok") });
        return;
      }
    }
    toast(done);
  };
  const toClipboard = async (coming) => {
    if (!navigator.clipboard || !window.ClipboardItem) return false;
    const blob = coming.then((text) => new Blob([text], { type: "text/plain" }));
    try {
      await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
      return true;
    } catch {
      return false; // not allowed, or nothing to copy: `coming` says which
    }
  };
  // Over plain http, as in an office's own network, browsers have no navigator.clipboard.
  const byHand = (text) => {
    const back = document.activeElement;
    const area = el("textarea", { class: "fn-hidden", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const worked = document.execCommand("copy");
    area.remove();
    back?.focus();
    return worked;
  };

  return { t, state, NOTHING, on, emit, remember, recall, narrow, html, json, post, el, fill, toast, dialog, copy };
})();
