// The view of documents: what a collection holds, filtered, chosen, read and deleted.
(() => {
  "use strict";
  const { t, el } = fn;
  const TYPING_MS = 250;
  let place; // the view's container, made by the shell
  let view = null; // the server's fragment in it
  let query = {}; // filters, sort and page
  let latest = 0; // of the requests for the list: an older one that arrives later is dropped
  let typing = 0;
  let loading = null; // the view that is on its way, or that came last

  const name = () => fn.state.collection;
  const at = (rest) => `/documents/${encodeURIComponent(name())}/${rest}`;
  const find = (selector) => view.querySelector(selector);
  const button = (what, words, kind = "") =>
    el("button", { type: "button", class: `fn-button ${kind}`, "data-do": `documents.${what}` }, words);
  const nothing = (title, hint, ...more) =>
    el("div", { class: "fn-docs-nothing", role: "status" }, el("p", {}, el("b", {}, title)), el("p", {}, hint), ...more);
  const attempt = (action) => async (...given) => {
    try { await action(...given); } catch (error) { fn.toast(error.message, "error"); }
  };

  // The view and its list

  const listPath = (more = {}, rest = "") =>
    `/panel/documents/${encodeURIComponent(name())}${rest}?${new URLSearchParams({ ...query, ...more })}`;

  const load = () => (loading = draw());
  async function draw() {
    const mine = ++latest;
    view = null;
    if (!name()) return none();
    place.replaceChildren(nothing(t("documents.loading"), ""));
    let html;
    try {
      html = await fn.html(listPath());
    } catch (error) {
      if (mine === latest) place.replaceChildren(nothing(t("documents.failed"), error.message, button("load", t("documents.retry"))));
      return;
    }
    if (mine !== latest) return;
    fn.fill(place, html);
    view = place.querySelector(".fn-docs");
    fn.emit("documents");
  }

  function none() {
    const mayCreate = fn.state.person && fn.state.person.role !== "reader";
    place.replaceChildren(nothing(t("documents.none"), t(`documents.none.${mayCreate ? "edit" : "read"}`),
      mayCreate ? button("create", t("documents.create"), "fn-primary") : null));
  }

  // A new list in the old one's place; what was chosen or focused stays so, where it is still there.
  async function refresh() {
    const mine = ++latest;
    const list = find(".fn-docs-list");
    let html;
    try {
      html = await fn.html(listPath({ part: "list" }));
    } catch (error) {
      if (mine === latest && view) list.replaceChildren(nothing(t("documents.failed"), error.message));
      return;
    }
    if (mine !== latest || !view) return;
    const kept = new Set(chosen().map(keyOf));
    const active = list.contains(document.activeElement) ? document.activeElement : null;
    fn.fill(list, html);
    for (const row of rows()) row.querySelector("input").checked = kept.has(keyOf(row));
    choose();
    if (active) refocus(list, active);
  }

  function refocus(list, before) {
    const row = before.closest("tr[data-id]");
    const column = (one) => one.dataset.sort?.replace("-", "");
    const same = [...list.querySelectorAll("button:not(:disabled)")].find((one) =>
      one.dataset.do === before.dataset.do && column(one) === column(before) &&
      (!row || (one.closest("tr") && keyOf(one.closest("tr")) === keyOf(row))));
    (same ?? find("h2")).focus({ preventScroll: true });
  }

  const rows = () => [...view.querySelectorAll("tr[data-id]")];
  const keyOf = (row) => `${row.dataset.id}/${row.dataset.upload}`;
  const chosen = () => rows().filter((row) => row.querySelector("input").checked);
  const idOf = (row) => decodeURIComponent(row.dataset.id);
  const titleOf = (row) => row.querySelector(".fn-docs-name b").textContent;

  function choose() {
    const bar = find(".fn-docs-selection");
    if (!bar) return;
    const n = chosen().length;
    bar.hidden = n === 0;
    find(".fn-docs-chosen").textContent = n ? t("documents.selected", { n }) : "";
    const all = find('[data-do="documents.all"]');
    all.checked = n > 0 && n === rows().length;
    all.indeterminate = n > 0 && n < rows().length;
  }

  function filter() {
    const { sort } = query;
    query = Object.fromEntries([...new FormData(find(".fn-docs-filters"))].filter(([, value]) => value.trim()));
    if (sort) query.sort = sort;
    refresh();
  }

  // Questions about a part of the collection

  function askOnly(documents) {
    if (!documents.length) return fn.toast(t("documents.ask.failed"), "error");
    fn.setScope({ documents });
    fn.show("ask");
    fn.focus?.();
  }

  async function useFilters() {
    const { q, kind, after = "", before = "" } = query;
    if (!(q || kind || after || before)) return fn.toast(t("documents.use.empty"));
    let documents = [];
    if (q) {
      const found = await fn.json(listPath({}, "/ids"));
      if (found.matching > found.most) return fn.toast(t("documents.use.toomany", { most: found.most }), "error");
      if (!found.matching) return fn.toast(t("documents.use.none"), "error");
      documents = found.ids;
    }
    fn.setScope({ documents, kinds: kind ? [kind] : [], after, before });
    fn.toast(t("documents.used"));
    fn.show("ask");
    fn.focus?.();
  }

  // One document's text

  async function read(id, page = 1) {
    const html = await fn.html(at(`text?${new URLSearchParams({ id, page })}`));
    if (!view) return;
    const reader = find(".fn-docs-reader");
    fn.fill(reader, html);
    reader.hidden = false;
    view.classList.add("fn-docs-open");
    place.scrollTop = 0;
    reader.querySelector("h2").focus({ preventScroll: true });
  }

  function back() {
    const { id } = find(".fn-reader").dataset;
    find(".fn-docs-reader").hidden = true;
    view.classList.remove("fn-docs-open");
    const row = rows().find((one) => one.dataset.id === id);
    (row?.querySelector('[data-do="documents.read"]') ?? find("h2")).focus();
  }

  // Changes

  async function remove(doomed) {
    const n = doomed.length;
    const sent = doomed.filter((row) => row.dataset.upload).length;
    const kind = sent === n ? "upload" : sent ? "mixed" : "folder";
    const title = n === 1 ? t("documents.delete.this", { title: titleOf(doomed[0]) }) : t("documents.delete.title", { n });
    if (!n || !(await fn.dialog({ title, text: t(`documents.delete.${kind}`), ok: t("documents.delete"), danger: true }))) return;
    const documents = doomed.filter((row) => row.dataset.id).map(idOf);
    const files = doomed.filter((row) => !row.dataset.id).map((row) => decodeURIComponent(row.dataset.upload));
    await fn.post(at("delete"), { documents, uploads: files });
    fn.toast(t("documents.deleted", { n }));
    find("h2").focus({ preventScroll: true });
    await refresh();
  }

  async function create() {
    const given = await fn.dialog({
      title: t("documents.create"), text: t("documents.create.text"), ok: t("documents.create.ok"),
      fields: [{ name: "name", label: t("documents.create.label"), type: "text", required: true }],
    });
    if (!given) return;
    const made = await fn.post("/collections", { name: given.name });
    await fn.listCollections();
    fn.setCollection(made.name);
    fn.toast(t("documents.created", made));
  }

  async function removeCollection() {
    const values = { name: name() };
    const sure = await fn.dialog({
      title: t("documents.remove.title", values), text: t("documents.remove.text"), ok: t("documents.remove"), danger: true,
    });
    if (!sure) return;
    await fn.post(`/collections/${encodeURIComponent(values.name)}/remove`);
    fn.toast(t("documents.removed", values));
    fn.open?.("");
    await fn.listCollections();
  }

  async function index() {
    await fn.post(at("index"));
    fn.uploads.poll();
  }

  // Wiring

  const rowOf = (pressed) => pressed.closest("tr[data-id]");
  const sort = (pressed) => { query = { ...query, sort: pressed.dataset.sort, page: 1 }; return refresh(); };
  const turn = (pressed) => { query = { ...query, page: pressed.dataset.page }; place.scrollTop = 0; return refresh(); };
  const clear = () => { find(".fn-docs-filters").reset(); for (const one of find(".fn-docs-filters").elements) one.value = ""; filter(); };
  const all = (pressed) => { for (const row of rows()) row.querySelector("input").checked = pressed.checked; choose(); };
  const ACTIONS = {
    load, index, create, clear, sort, back, all, page: turn, use: useFilters, remove: removeCollection,
    choose: () => fn.uploads.choose(),
    ask: (pressed) => askOnly([idOf(rowOf(pressed))]),
    "ask-chosen": () => askOnly(chosen().filter((row) => row.dataset.id).map(idOf)),
    read: (pressed) => read(idOf(rowOf(pressed))),
    part: (pressed) => read(decodeURIComponent(find(".fn-reader").dataset.id), pressed.dataset.page),
    delete: (pressed) => remove([rowOf(pressed)]),
    "delete-chosen": () => remove(chosen()),
  };
  const act = attempt(async (event) => {
    const pressed = event.target.closest('[data-do^="documents."]');
    if (pressed) await ACTIONS[pressed.dataset.do.slice("documents.".length)](pressed);
  });

  function change({ target }) {
    if (target.closest(".fn-docs-filters")) filter();
    else if (target.type === "checkbox") choose();
  }
  function type(event) {
    if (event.target.name !== "q") return;
    clearTimeout(typing);
    typing = setTimeout(() => view && filter(), TYPING_MS);
  }

  fn.on("ready", () => {
    place = document.getElementById("fn-documents");
    place.addEventListener("click", act);
    place.addEventListener("change", change);
    place.addEventListener("input", type);
    place.addEventListener("submit", (event) => { event.preventDefault(); filter(); });
  });
  fn.on("read", attempt(async ({ collection, document: id }) => {
    if (collection !== name()) fn.setCollection(collection, { keep: true });
    fn.show("documents");
    await loading;
    await read(id);
  }));
  fn.on("view", (which) => {
    if (which !== "documents") return;
    if (view) refresh();
    else load();
  });
  fn.on("collection", () => {
    query = {};
    view = null;
    if (!place.hidden) load();
  });

  // The view as it stands, or null while there is none; `at` is an address in the open collection.
  fn.documents = { view: () => view, at, refresh };
})();
