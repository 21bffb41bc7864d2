// The card above a marker: what it stands for, without a click. Knows the panel by `fn.sources` alone.
(() => {
  "use strict";
  const { el } = fn;
  const { MARKER, told, fetched } = fn.sources;
  let card = null;
  let carded = null; // the marker that the card stands at
  let later = 0;

  // Fetches a marker's sources, so that a click finds them there, and shows them where there is room.
  const show = (link) => {
    clearTimeout(later);
    if (!card || carded === link) return;
    hide();
    const { turn, marker } = told(link);
    const entry = fetched(turn);
    if (fn.narrow()) return;
    carded = link;
    const draw = (root) => {
      if (carded !== link) return;
      const data = root?.querySelector(`#${CSS.escape(`src-${turn}-${marker}`)}`)?.dataset;
      if (!data) return; // the link's own title stays
      card.replaceChildren(
        el("strong", { dir: "auto" }, data.title),
        el("span", { class: "fn-card-where" }, [data.where, data.date].filter(Boolean).join(" · ")),
        el("q", { dir: "auto" }, data.quote),
        data.status ? el("span", { class: `fn-verdict fn-${data.kind}` }, data.status) : "");
      link.dataset.title = link.title;
      link.removeAttribute("title"); // or the browser would show a second one
      link.setAttribute("aria-describedby", card.id);
      card.hidden = false;
      place(link);
    };
    if (entry.root) draw(entry.root);
    else entry.done.then(draw, () => {});
  };
  const place = (link) => {
    const at = link.getBoundingClientRect();
    const fits = at.top - card.offsetHeight - 8 > 0;
    const left = Math.min(Math.max(8, at.left - 24), innerWidth - card.offsetWidth - 8);
    card.style.left = `${left}px`;
    card.style.top = `${fits ? at.top - card.offsetHeight - 6 : at.bottom + 6}px`;
  };
  // Whether there was one to hide.
  const hide = () => {
    clearTimeout(later);
    if (!carded) return false;
    if (carded.dataset.title !== undefined) carded.title = carded.dataset.title;
    delete carded.dataset.title;
    carded.removeAttribute("aria-describedby");
    carded = null;
    card.hidden = true;
    return true;
  };
  const leave = () => { clearTimeout(later); later = setTimeout(hide, 200); }; // time to reach the card

  const enter = (event) => {
    const link = event.target.closest?.(MARKER);
    if (link && event.pointerType !== "touch") show(link);
    else if (event.target.closest?.("#fn-source-card")) clearTimeout(later);
    else if (carded && document.activeElement !== carded) leave();
  };
  const focus = (event) => {
    const link = event.target.closest?.(MARKER);
    if (!link) hide();
    else if (link.matches(":focus-visible")) show(link);
    else fetched(told(link).turn);
  };

  document.addEventListener("pointerover", enter);
  document.addEventListener("focusin", focus);
  document.addEventListener("focusout", (event) => { if (event.target === carded) leave(); });
  document.addEventListener("scroll", hide, { capture: true, passive: true });
  fn.on("ready", () => {
    card = el("div", { id: "fn-source-card", class: "fn-source-card", role: "tooltip", hidden: true });
    document.body.append(card);
  });

  fn.card = { hide };
})();
