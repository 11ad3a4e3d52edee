// The rows of the widget, and a list in which they glide to their new places.

const GLIDE = { duration: 450, easing: "cubic-bezier(.2, .8, .2, 1)" };
const FLASH = { duration: 1400, easing: "ease-out" };
/** Time for which a row shows by how much it moved: long enough to find and read it. */
const MOVE_SHOWN_MS = 5000;
/** The attribute that is shown as a picture, where its value is the URL of one. */
const AVATAR = "avatar";
const PICTURE = /^(https:|data:image\/)/;

// The module is also imported for rendering on a server, where there is no matchMedia.
const reducedMotion = globalThis.matchMedia?.("(prefers-reduced-motion: reduce)") ?? { matches: false };

/** Create an element with properties and children. Strings become text nodes, so names can't inject HTML. */
export function make(tag, { part, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  if (part) element.setAttribute("part", part);
  element.append(...children);
  return element;
}

/** The identity of a row: a user's id, or a group's name. */
export function rowId(row) {
  return row.userId ?? row.group;
}

/** One row; it keeps its element while its user or group stays in the window. */
class Row {
  #rank = make("span", { part: "rank" });
  #move = make("span", { part: "move" });
  #person;
  #avatar = null;
  #name = make("bdi");
  #you = make("span", { part: "you" });
  #extra = make("bdi", { part: "extra" });
  #value = make("span", { part: "value" });
  #spoken = make("span", { className: "spoken" });
  #glide;
  #flash;
  #timer;

  constructor(id) {
    const name = make("span", {}, make("span", { part: "name" }, this.#name, this.#you), this.#extra);
    this.#person = make("span", { part: "person" }, name);
    this.element = make("li", { part: "row" }, this.#spoken, this.#rank, this.#move, this.#person, this.#value);
    this.element.dataset.userId = id;
  }

  show(row, me, formatter) {
    const { rank, name, value, members, attributes = {} } = row;
    const { texts } = formatter;
    const mine = rowId(row) === me;
    this.rank = rank;
    this.element.dataset.rank = rank;
    this.element.toggleAttribute("data-me", mine);
    this.#spoken.textContent = `${texts.rank} `;
    this.#rank.textContent = formatter.number(rank);
    this.#name.textContent = name || rowId(row);
    this.#you.textContent = mine && row.userId ? ` ${texts.you}` : "";
    // The average of a group has any number of decimals; the title has them all.
    const exact = formatter.number(value);
    this.#value.textContent = members === undefined ? exact : formatter.rounded(value);
    this.#value.title = this.#value.textContent === exact ? "" : exact;
    const { [AVATAR]: picture = "", ...others } = attributes;
    const extra = members === undefined ? Object.values(others) : [texts.members(members, formatter.number(members))];
    this.#extra.textContent = extra.filter(Boolean).join(" · ");
    this.#extra.hidden = !this.#extra.textContent;
    if (picture !== (this.#avatar?.getAttribute("src") ?? "")) this.#show(picture);
  }

  #show(picture) {
    this.#avatar?.remove();
    this.#avatar = null;
    if (!PICTURE.test(picture)) return;
    const avatar = make("img", { part: "avatar", alt: "", referrerPolicy: "no-referrer", src: picture });
    avatar.addEventListener("error", () => (avatar.hidden = true));
    this.#person.prepend(avatar);
    this.#avatar = avatar;
  }

  /** Show how far the row moved, up or down; `from` is its rank before, null for a newcomer. */
  showMove(from, formatter) {
    const up = from === null || this.rank < from;
    const places = from === null ? formatter.texts.fresh : formatter.number(Math.abs(from - this.rank));
    const spoken = from === null ? "" : `${formatter.texts[up ? "up" : "down"]} `;
    this.element.dataset.move = up ? "up" : "down";
    this.#move.replaceChildren(
      make("span", { ariaHidden: "true", textContent: up ? "▲ " : "▼ " }),
      make("span", { className: "spoken", textContent: spoken }),
      places,
    );
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      delete this.element.dataset.move;
      this.#move.replaceChildren();
    }, MOVE_SHOWN_MS);
  }

  /** Tint the row for a moment; one tint at a time, so that a busy row doesn't flicker. */
  flash() {
    if (reducedMotion.matches || this.#flash?.playState === "running") return;
    const colour = { up: "var(--_up)", down: "var(--_down)" }[this.element.dataset.move] ?? "var(--_accent)";
    const tint = `color-mix(in srgb, ${colour} var(--_tint), var(--_bg))`;
    this.#flash = this.element.animate([{ backgroundColor: tint, offset: 0 }], FLASH);
  }

  get top() {
    return this.element.getBoundingClientRect().top;
  }

  stopGliding() {
    this.#glide?.cancel();
  }

  glideFrom(offset) {
    if (offset) this.#glide = this.element.animate([{ transform: `translateY(${offset}px)`, offset: 0 }], GLIDE);
  }

  appear() {
    this.#glide = this.element.animate([{ transform: "translateY(60%)", opacity: 0, offset: 0 }], GLIDE);
  }
}

/** The rows in an `ol`. */
export class RowList {
  #rows = new Map(); // by rowId, in the order on the screen

  constructor(part) {
    this.element = make("ol", { part, role: "list" }); // Safari drops the role of lists without bullets
  }

  clear() {
    this.#rows.clear();
    this.element.replaceChildren();
  }

  /** Show these rows, with that of `me` marked. `changed` has the former ranks of rows that changed since. */
  draw(rows, changed, me, formatter) {
    const moving = this.#rows.size > 0 && !document.hidden && !reducedMotion.matches;
    // FLIP: measure the old positions, move the rows, and animate from the old positions to the new ones.
    const before = new Map();
    if (moving) {
      const origin = this.element.getBoundingClientRect().top;
      for (const [id, row] of this.#rows) before.set(id, row.top - origin);
    }
    const known = new Map(this.#rows);
    for (const row of known.values()) row.stopGliding();
    this.#place(rows);
    if (moving) {
      const origin = this.element.getBoundingClientRect().top;
      const offsets = [...this.#rows].map(([id, row]) => [row, before.get(id) - (row.top - origin)]);
      for (const [row, offset] of offsets) {
        if (Number.isNaN(offset)) row.appear();
        else row.glideFrom(offset);
      }
    }
    for (const data of rows) {
      const id = rowId(data);
      const row = this.#rows.get(id);
      const from = known.has(id) ? row.rank : changed.get(id);
      row.show(data, me, formatter);
      if (!changed.has(id)) continue;
      if (from !== data.rank) row.showMove(from, formatter);
      row.flash();
    }
  }

  /** Order the rows of the list, moving only those that are out of place. */
  #place(rows) {
    const staying = new Set(rows.map(rowId));
    for (const [id, row] of this.#rows) {
      if (staying.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    let next = this.element.firstElementChild;
    for (const data of rows) {
      let row = this.#rows.get(rowId(data));
      if (!row) this.#rows.set(rowId(data), (row = new Row(rowId(data))));
      if (row.element === next) next = next.nextElementSibling;
      else this.element.insertBefore(row.element, next);
    }
  }
}
