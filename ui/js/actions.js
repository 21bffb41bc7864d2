// Menus that open from a button, and what the buttons below an answer do.
(() => {
  "use strict";
  const FORMATS = ["md", "docx", "json"];
  const REASONS = ["wrong", "incomplete", "bad source", "not in the documents", "should have answered", "other"];
  const judged = new Map(); // turn -> "up" | "down", as given since the page was opened
  let opened = null; // the menu that is open: {menu, button}

  // A menu below `button`. Items: {label, act} is a command, {label, href} a file to download.
  fn.menu = (button, label, items) => {
    const again = opened && opened.button === button;
    close();
    if (again) return;
    const menu = fn.el("div", { class: "fn-menu", role: "menu", "aria-label": label });
    menu.popover = "manual"; // "auto" would close on the press of its own button, and open again
    menu.append(...items.map(entry));
    menu.addEventListener("keydown", key);
    document.body.append(menu);
    menu.showPopover();
    place(menu, button);
    button.setAttribute("aria-expanded", "true");
    opened = { menu, button };
    menu.firstElementChild.focus();
  };

  function entry({ label, href, act, danger }) {
    const kind = `fn-menu-item${danger ? " fn-danger" : ""}`;
    const common = { class: kind, role: "menuitem", tabindex: "-1" };
    const made = href
      ? fn.el("a", { ...common, href, download: "" }, label)
      : fn.el("button", { ...common, type: "button" }, label);
    made.addEventListener("click", () => {
      close(true);
      if (act) act();
    });
    return made;
  }

  function place(menu, button) {
    const at = button.getBoundingClientRect();
    const fits = at.bottom + menu.offsetHeight + 8 < innerHeight;
    const left = Math.min(at.left, innerWidth - menu.offsetWidth - 8);
    menu.style.left = `${Math.max(8, left)}px`;
    menu.style.top = `${Math.max(8, fits ? at.bottom + 4 : at.top - menu.offsetHeight - 4)}px`;
  }

  function close(back = false) {
    if (!opened) return;
    const { menu, button } = opened;
    opened = null;
    // The button may have been drawn anew meanwhile.
    const now = button.isConnected ? button : document.getElementById(button.id);
    now?.setAttribute("aria-expanded", "false");
    if (back) now?.focus();
    menu.remove();
  }

  function key(event) {
    const items = [...event.currentTarget.children];
    const at = items.indexOf(document.activeElement);
    const last = items.length - 1;
    const to = { ArrowDown: at < last ? at + 1 : 0, ArrowUp: at > 0 ? at - 1 : last, Home: 0, End: last }[
      event.key
    ];
    if (event.key === "Escape" || event.key === "Tab") close(true);
    else if (to !== undefined) items[to].focus();
    if (event.key === "Tab" || (to === undefined && event.key !== "Escape")) return;
    event.preventDefault();
    event.stopPropagation(); // Escape closes this, not the drawer below it
  }

  async function copyAnswer(turn) {
    await fn.copy(fn.html(exportPath(turn, "txt")), fn.t("actions.copied"));
  }

  async function share(turn) {
    const link = fn
      .post(`/answers/${encodeURIComponent(turn)}/share`, {})
      .then((made) => new URL(made.url, location.href).href);
    await fn.copy(link, fn.t("actions.linked"));
  }

  async function judge(turn, verdict, reason = "", correction = "") {
    await fn.post(`/answers/${encodeURIComponent(turn)}/feedback`, { verdict, reason, correction });
    judged.set(turn, verdict);
    restore();
    fn.toast(fn.t("actions.thanks"));
  }

  async function askWhy(turn) {
    const given = await fn.dialog({
      title: fn.t("actions.down.title"),
      text: fn.t("actions.down.text"),
      fields: [
        {
          name: "reason",
          label: fn.t("actions.down.reason"),
          type: "radio",
          options: REASONS.map((one) => [one, fn.t(`actions.reason.${one.replaceAll(" ", "-")}`)]),
          value: REASONS[0],
          required: true,
        },
        { name: "correction", label: fn.t("actions.down.correction"), type: "textarea", value: "" },
      ],
      ok: fn.t("actions.down.ok"),
    });
    if (given) await judge(turn, "down", given.reason, given.correction);
  }

  const exportPath = (turn, kind) => `/export/answer/${encodeURIComponent(turn)}.${kind}`;

  function exports(turn, button) {
    const items = FORMATS.map((kind) => ({
      label: fn.t(`conversations.export.${kind}`),
      href: exportPath(turn, kind),
    }));
    fn.menu(button, fn.t("actions.export"), items);
  }

  const VERBS = {
    copy: copyAnswer,
    link: share,
    up: (turn) => judge(turn, "up"),
    down: askWhy,
    export: exports,
    again: (turn) => fn.emit("again", { turn }),
    edit: (turn) => fn.emit("edit", { turn }),
  };

  async function press(event) {
    if (opened && !opened.menu.contains(event.target) && !opened.button.contains(event.target)) close();
    const button = event.target.closest?.("button.fn-act");
    if (!button) return;
    const [verb, turn] = parts(button);
    if (!Object.hasOwn(VERBS, verb)) return;
    try {
      await VERBS[verb](turn, button);
    } catch (error) {
      fn.toast(error.message, "error");
    }
  }

  function parts(button) {
    const [verb, ...rest] = button.value.split(":");
    return [verb, rest.join(":")];
  }

  // Gradio draws a bubble anew when it likes, without what was set since: set it again.
  function restore() {
    for (const button of document.querySelectorAll("button.fn-act")) {
      const [verb, turn] = parts(button);
      if (verb === "export") button.setAttribute("aria-haspopup", "menu");
      if (verb !== "up" && verb !== "down") continue;
      const on = judged.has(turn) ? judged.get(turn) === verb : button.classList.contains("fn-on");
      button.classList.toggle("fn-on", on);
      button.setAttribute("aria-pressed", String(on));
    }
  }

  function watch() {
    let asked = false;
    const later = () => {
      asked = false;
      restore();
    };
    new MutationObserver(() => {
      if (!asked) requestAnimationFrame(later);
      asked = true;
    }).observe(document.getElementById("fn-chat") || document.body, { childList: true, subtree: true });
    restore();
  }

  document.addEventListener("click", press);
  addEventListener("resize", () => close());
  fn.on("ready", watch);
})();
