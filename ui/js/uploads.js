// Files on their way into the open collection: the drop zone, each one's progress, and how the reading of
// them goes. Knows the view of documents by `fn.documents` alone.
(() => {
  "use strict";
  const { t, el, documents } = fn;
  const POLL_MS = 1000; // between looks at what is being read; nobody looks while nothing is
  const AT_ONCE = 2; // uploads
  const uploads = []; // {file, collection, line, state}
  let place; // the view's container, made by the shell
  let polling = 0;
  let busy = false; // whether something was being read when last looked
  let ended; // the number of the last run that has ended
  let told = ""; // the tasks as they are shown

  const name = () => fn.state.collection;
  const find = (selector) => documents.view().querySelector(selector);
  const editable = () => documents.view()?.dataset.edit === "1";

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
    const { endings, kinds, most, mostMb } = documents.view().dataset;
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
    documents.view()?.classList.toggle("fn-docs-over", editable());
  }
  function leave(event) {
    if (!place.contains(event.relatedTarget)) documents.view()?.classList.remove("fn-docs-over");
  }
  function release(event) {
    if (!hasFiles(event)) return;
    event.preventDefault();
    documents.view()?.classList.remove("fn-docs-over");
    if (editable()) add(event.dataTransfer.files);
  }

  // What is being read

  async function poll() {
    clearTimeout(polling);
    const asked = documents.view();
    if (!asked || place.hidden) return;
    let tasks;
    try {
      ({ tasks } = await fn.json(documents.at("tasks")));
    } catch {
      if (busy) polling = setTimeout(poll, 3 * POLL_MS);
      return;
    }
    if (asked !== documents.view()) return;
    const active = tasks.filter((one) => one.state === "waiting" || one.state === "running");
    tell(active.find((one) => one.state === "running") ?? active[0] ?? tasks.at(-1));
    clearTimeout(polling);
    if (active.length) polling = setTimeout(poll, POLL_MS);
    else settle();
    // A quick run has ended before it was ever seen to be under way.
    const last = tasks.filter((one) => !active.includes(one)).at(-1)?.number;
    if (busy !== active.length > 0 || ended !== last) documents.refresh();
    busy = active.length > 0;
    ended = last;
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

  // Wiring

  const choose = () => find('input[type="file"]').click();
  function take({ target }) {
    if (target.type !== "file") return;
    add(target.files);
    target.value = ""; // so that the same file can be chosen again
  }

  fn.on("ready", () => {
    place = document.getElementById("fn-documents");
    place.addEventListener("change", take);
    place.addEventListener("dragenter", drag);
    place.addEventListener("dragover", drag);
    place.addEventListener("dragleave", leave);
    place.addEventListener("drop", release);
  });
  fn.on("documents", () => { // drawn anew, without what was shown
    told = "";
    for (const one of uploads) if (one.collection === name()) find(".fn-docs-uploads").append(one.line);
    poll();
  });
  fn.on("view", (which) => {
    if (which === "documents") poll();
    else clearTimeout(polling);
  });
  fn.on("collection", () => { busy = false; });

  fn.uploads = { choose, poll };
})();
