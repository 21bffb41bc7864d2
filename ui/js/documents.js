"use strict";
// The view of documents: what a collection holds, filtered, read, uploaded, indexed anew and deleted.
(() => {
  const { t, el } = fn;
  const POLL_MS = 1000; // between looks at what is being read; nobody looks while nothing is
  const TYPING_MS = 250;
  const AT_ONCE = 2; // uploads
  let place; // the view's container, made by the shell
  let view = null; // the server's fragment in it
  let query = {}; // filters, sort and page
  let latest = 0; // of the requests for the list: an older one that arrives later is dropped
  let typing = 0;
  let polling = 0;
  let busy = false; // whether something was being read when last looked
  let told = ""; // the tasks as they are shown
  const uploads = []; // {file, collection, line, state}

  const name = () => fn.state.collection;
  const at = (rest) => `/documents/${encodeURIComponent(name())}/${rest}`;
  const find = (selector) => view.querySelector(selector);
  const editable = () => view?.dataset.edit === "1";
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

  async function load() {
    const mine = ++latest;
    view = null;
    told = "";
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
    for (const one of uploads) if (one.collection === name()) find(".fn-docs-uploads").append(one.line);
    poll();
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
    poll();
  }

  // What is being read

  async function poll() {
    clearTimeout(polling);
    if (!view || place.hidden) return;
    const asked = view;
    let tasks;
    try {
      ({ tasks } = await fn.json(at("tasks")));
    } catch {
      if (busy) polling = setTimeout(poll, 3 * POLL_MS);
      return;
    }
    if (asked !== view) return;
    const active = tasks.filter((one) => one.state === "waiting" || one.state === "running");
    tell(active.find((one) => one.state === "running") ?? active[0] ?? tasks.at(-1));
    clearTimeout(polling);
    if (active.length) polling = setTimeout(poll, POLL_MS);
    else settle();
    if (busy !== active.length > 0) refresh();
    busy = active.length > 0;
  }

  // Files that arrived are in the list now.
  function settle() {
    for (const one of uploads.filter((each) => each.state === "sent" && each.collection === name())) drop(one);
  }

  function tell(task) {
    const now = JSON.stringify(task ?? null);
    if (now === told) return;
    told = now;
    const box = find(".fn-docs-tasks");
    if (!task) return box.replaceChildren();
    if (task.state === "waiting") return box.replaceChildren(el("p", {}, t("documents.task.waiting")));
    if (task.state === "running") {
      const words = task.total ? t("documents.task.progress", task) : t("documents.task.running");
      const bar = el("progress", { "aria-label": words, max: task.total || null, value: task.total ? task.done : null });
      return box.replaceChildren(el("p", {}, words), bar);
    }
    box.replaceChildren(...outcome(task));
  }

  function outcome({ report, changes, error, finished }) {
    const failed = (report.failed ?? []).map((one) => `${one.path}: ${one.error}`);
    const named = { ...changes, failed };
    const counts = { added: report.added, updated: report.updated, removed: report.removed, moved: changes.moved?.length, failed: failed.length };
    const parts = Object.keys(counts).filter((kind) => counts[kind]);
    const words = parts.map((kind) => t(`documents.task.${kind}`, { n: counts[kind] })).join(", ");
    const time = new Date(finished).toLocaleString(fn.state.lang, { dateStyle: "short", timeStyle: "short" });
    const last = `${t("documents.task.last", { time })} `;
    const lists = parts.filter((kind) => named[kind]?.length).map((kind) => el("details", { class: `fn-docs-${kind}`, open: kind === "failed" },
      el("summary", {}, t(`documents.task.${kind}`, { n: counts[kind] })),
      el("ul", {}, ...named[kind].map((one) => el("li", { dir: "auto" }, one)))));
    return [
      error ? el("p", { class: "fn-docs-error" }, t("documents.task.error", { error })) : null,
      words || !error ? el("p", {}, last, words || t("documents.task.nothing")) : null,
      ...lists,
    ].filter(Boolean);
  }

  // Uploads: one request for each file, so that each one's progress shows and can fail by itself

  function add(files) {
    for (const file of files) {
      const one = { file, collection: name(), line: el("li", { class: "fn-docs-upload" }), state: "waiting" };
      uploads.push(one);
      find(".fn-docs-uploads").append(one.line);
      const refusal = refuse(file);
      if (refusal) fail(one, refusal, false);
      else draw(one, t("documents.upload.waiting"));
    }
    pump();
  }

  // What the server would refuse: said before a large file is on its way.
  function refuse(file) {
    const { endings, kinds, most, mostMb } = view.dataset;
    const ending = file.name.slice(file.name.lastIndexOf(".")).toLowerCase();
    if (!endings.split(" ").includes(ending)) return t("documents.upload.kind", { kinds });
    if (file.size === 0) return t("documents.upload.empty");
    return file.size > Number(most) ? t("documents.upload.large", { most: mostMb }) : "";
  }

  function pump() {
    const sending = uploads.filter((one) => one.state === "sending").length;
    for (const one of uploads.filter((each) => each.state === "waiting").slice(0, Math.max(0, AT_ONCE - sending))) send(one);
  }

  function send(one) {
    const request = new XMLHttpRequest();
    const bar = el("progress", { max: 100, value: 0, "aria-label": t("documents.upload.progress", { name: one.file.name }) });
    one.state = "sending";
    const said = draw(one, "", bar);
    request.upload.onprogress = (event) => {
      bar.value = Math.floor((100 * event.loaded) / (event.total || 1));
      said.textContent = t("documents.upload.sending", { percent: bar.value });
    };
    request.onload = () => {
      if (request.status === 401) location.assign("/login");
      else if (request.status === 200) receive(one);
      else fail(one, reasonOf(request, one.file.name));
      pump();
    };
    request.onerror = () => { fail(one, t("documents.upload.unreachable")); pump(); };
    request.open("POST", `/documents/${encodeURIComponent(one.collection)}/upload?${new URLSearchParams({ name: one.file.name })}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.send(one.file);
  }

  function reasonOf(request, file) {
    try {
      const { error } = JSON.parse(request.responseText);
      if (error) return error.startsWith(`${file}: `) ? error.slice(file.length + 2) : error;
    } catch { /* not from this program */ }
    return t("page.failed", { status: request.status });
  }

  function receive(one) {
    one.state = "sent";
    draw(one, t("documents.upload.sent"));
    busy = true; // so that the list is fetched when the reading ends, however soon
    if (one.collection === name()) poll();
  }

  function fail(one, reason, again = true) {
    one.state = "failed";
    const label = (words) => ({ type: "button", class: "fn-button fn-quiet", "aria-label": `${words}: ${one.file.name}` });
    const retry = () => { one.state = "waiting"; draw(one, t("documents.upload.waiting")); pump(); };
    draw(one, "",
      el("span", { class: "fn-docs-error", role: "alert" }, reason),
      again ? el("button", { ...label(t("documents.upload.retry")), onclick: retry }, t("documents.upload.retry")) : null,
      el("button", { ...label(t("documents.upload.dismiss")), onclick: () => drop(one) }, t("documents.upload.dismiss")));
  }

  function draw(one, words, ...more) {
    const said = el("span", {}, words);
    one.line.replaceChildren(...[el("bdi", { class: "fn-docs-file" }, one.file.name), said, ...more].filter(Boolean));
    return said;
  }

  function drop(one) {
    const held = one.line.contains(document.activeElement);
    uploads.splice(uploads.indexOf(one), 1);
    one.line.remove();
    if (held) find("h2").focus({ preventScroll: true });
  }

  // Files dragged over the view: anywhere in it will do

  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  function drag(event) {
    if (!hasFiles(event)) return;
    event.preventDefault(); // or the browser would leave the page for the file
    event.dataTransfer.dropEffect = editable() ? "copy" : "none";
    view?.classList.toggle("fn-docs-over", editable());
  }
  function leave(event) {
    if (!place.contains(event.relatedTarget)) view?.classList.remove("fn-docs-over");
  }
  function release(event) {
    if (!hasFiles(event)) return;
    event.preventDefault();
    view?.classList.remove("fn-docs-over");
    if (editable()) add(event.dataTransfer.files);
  }

  // Wiring

  const rowOf = (pressed) => pressed.closest("tr[data-id]");
  const sort = (pressed) => { query = { ...query, sort: pressed.dataset.sort, page: 1 }; return refresh(); };
  const turn = (pressed) => { query = { ...query, page: pressed.dataset.page }; place.scrollTop = 0; return refresh(); };
  const clear = () => { find(".fn-docs-filters").reset(); for (const one of find(".fn-docs-filters").elements) one.value = ""; filter(); };
  const all = (pressed) => { for (const row of rows()) row.querySelector("input").checked = pressed.checked; choose(); };
  const ACTIONS = {
    load, index, create, clear, sort, back, all, page: turn, use: useFilters, remove: removeCollection,
    choose: () => find('input[type="file"]').click(),
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

  function change(event) {
    if (event.target.type === "file") {
      add(event.target.files);
      event.target.value = ""; // so that the same file can be chosen again
    } else if (event.target.closest(".fn-docs-filters")) filter();
    else choose();
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
    place.addEventListener("dragenter", drag);
    place.addEventListener("dragover", drag);
    place.addEventListener("dragleave", leave);
    place.addEventListener("drop", release);
  });
  fn.on("view", (which) => {
    if (which !== "documents") clearTimeout(polling);
    else if (view) { refresh(); poll(); }
    else load();
  });
  fn.on("collection", () => {
    query = {};
    busy = false;
    view = null;
    if (!place.hidden) load();
  });
})();
