// The sidebar: the reader's conversations, found, opened, renamed, exported and deleted.
(() => {
  "use strict";
  const WAIT_MS = 200; // after the last key in the search field
  const FORMATS = ["md", "docx", "json"];
  let search, list, status;
  let timer = 0;
  let latest = 0; // of the requests for the list: an older one that arrives later is dropped
  let shown = "";

  function build() {
    const fresh = fn.el(
      "button",
      { type: "button", class: "fn-button fn-chats-new", "data-do": "conversations.new" },
      fn.t("conversations.new"),
    );
    search = fn.el("input", {
      type: "search",
      id: "fn-chats-search",
      class: "fn-chats-search",
      autocomplete: "off",
      placeholder: fn.t("conversations.search"),
      "aria-label": fn.t("conversations.search"),
      "aria-controls": "fn-chats",
    });
    list = fn.el("div", { id: "fn-chats", class: "fn-chats" });
    status = fn.el("p", { class: "fn-hidden", role: "status" });
    const made = fn.el("div", { class: "fn-chats-box" }, fresh, search, list, status);
    document.getElementById("fn-sidebar").append(made);
    made.addEventListener("click", click);
    made.addEventListener("keydown", key);
    search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => refresh(true), WAIT_MS);
    });
    list.addEventListener("focusin", (event) => rove(event.target.closest(".fn-chat")));
    refresh();
  }

  async function refresh(tell = false) {
    const mine = ++latest;
    const query = new URLSearchParams({
      q: search.value,
      collection: fn.state.collection || "",
      away: new Date().getTimezoneOffset(),
    });
    let html;
    try {
      html = await fn.html(`/panel/conversations?${query}`);
    } catch (error) {
      if (mine === latest) fn.toast(error.message, "error");
      return;
    }
    if (mine !== latest) return;
    if (html !== shown) replace(html);
    if (tell) status.textContent = list.firstElementChild?.dataset.said || "";
  }

  // Put a new list in place; focus and scroll stay where they were.
  function replace(html) {
    const active = list.contains(document.activeElement) ? document.activeElement : null;
    const at = active ? rows().indexOf(active.closest(".fn-chat")) : -1;
    const top = list.scrollTop;
    fn.fill(list, html);
    shown = html;
    mark(fn.state.conversation);
    list.scrollTop = top;
    if (!active) return;
    const same = [...list.querySelectorAll("[data-do]")].find(
      (one) => one.dataset.do === active.dataset.do && one.dataset.id === active.dataset.id,
    );
    const near = rows()[Math.min(at, rows().length - 1)];
    (same || near?.querySelector("a") || search).focus({ preventScroll: true });
  }

  const rows = () => [...list.querySelectorAll(".fn-chat")];

  function mark(id) {
    let current = null;
    for (const row of rows()) {
      const link = row.querySelector("a");
      if (row.dataset.id === String(id || "")) {
        link.setAttribute("aria-current", "page");
        current = row;
      } else link.removeAttribute("aria-current");
    }
    rove(current || rows()[0]);
  }

  // One row at a time is in the tab order; the arrow keys reach the others.
  function rove(row) {
    if (!row) return;
    for (const one of rows()) {
      for (const part of one.querySelectorAll("a, button")) part.tabIndex = one === row ? 0 : -1;
    }
  }

  function key(event) {
    const all = rows().map((row) => row.querySelector("a"));
    const at = all.indexOf(event.target);
    if (!all.length || (at < 0 && event.target !== search)) return;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined || (at < 0 && event.key !== "ArrowDown")) return;
    event.preventDefault();
    if (to < 0) search.focus();
    else all[Math.min(to, all.length - 1)].focus();
  }

  function click(event) {
    const pressed = event.target.closest("[data-do]");
    if (!pressed) return;
    const { do: what, id } = pressed.dataset;
    if (what === "conversations.new") fn.open("");
    else if (what === "conversations.menu") menu(pressed, id);
    else if (what === "conversations.open" && plain(event)) {
      event.preventDefault();
      fn.open(id);
    }
  }

  // Whether a click means this page, not a new tab or window.
  const plain = (event) =>
    event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;

  const titleOf = (id) =>
    rows()
      .find((row) => row.dataset.id === id)
      ?.querySelector(".fn-chat-title").textContent || "";

  function menu(button, id) {
    fn.menu(button, fn.t("conversations.actions", { title: titleOf(id) }), [
      { label: fn.t("conversations.rename"), act: () => rename(id) },
      ...FORMATS.map((kind) => ({
        label: fn.t(`conversations.export.${kind}`),
        href: `/export/conversation/${encodeURIComponent(id)}.${kind}`,
      })),
      { label: fn.t("conversations.delete"), act: () => remove(id), danger: true },
    ]);
  }

  async function rename(id) {
    const given = await fn.dialog({
      title: fn.t("conversations.rename.title"),
      fields: [
        {
          name: "title",
          label: fn.t("conversations.rename.label"),
          type: "text",
          value: titleOf(id),
          required: true,
        },
      ],
      ok: fn.t("conversations.rename.ok"),
    });
    if (given) await change(id, "rename", { title: given.title });
  }

  async function remove(id) {
    const sure = await fn.dialog({
      title: fn.t("conversations.delete.title"),
      text: fn.t("conversations.delete.text", { title: titleOf(id) }),
      ok: fn.t("conversations.delete.ok"),
      danger: true,
    });
    if (!sure || !(await change(id, "delete", {}))) return;
    fn.toast(fn.t("conversations.deleted"));
    if (fn.state.conversation === id) fn.open("");
  }

  async function change(id, what, body) {
    try {
      await fn.post(`/conversations/${encodeURIComponent(id)}/${what}`, body);
      await refresh();
      return true;
    } catch (error) {
      fn.toast(error.message, "error");
      return false;
    }
  }

  fn.on("ready", build);
  fn.on("collection", () => refresh());
  fn.on("answered", () => refresh());
  fn.on("conversation", (id) => {
    mark(id);
    refresh();
  });
})();
