// The rows of the widget: one line each, and a list of them in which they glide to their new places.

const GLIDE = { duration: 450, easing: "cubic-bezier(.2, .8, .2, 1)" };
const FLASH = { duration: 1400, easing: "ease-out" };
/** Long enough to look at the row that moved and read by how much. */
const MOVE_SHOWN_MS = 5000;
/** The one attribute beside a name that is shown as a picture, where it is the address of one. */
const AVATAR = "avatar";
const PICTURE = /^(https:|data:image\/)/;

// A server that renders pages imports the module, too, and has no screen.
const stillness = globalThis.matchMedia?.("(prefers-reduced-motion: reduce)") ?? { matches: false };

/** An element with properties and children; names reach the page only as text. */
export function make(tag, { part, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  if (part) element.setAttribute("part", part);
  element.append(...children);
  return element;
}

/** Whom a row is about: a user's id, or a group. */
export function who(row) {
  return row.userId ?? row.group;
}

/** One line on the board; keeps its element while its user or group stays in the window. */
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

  show(row, me, words) {
    const { rank, name, value, members, attributes = {} } = row;
    const { texts } = words;
    const mine = who(row) === me;
    this.rank = rank;
    this.element.dataset.rank = rank;
    this.element.toggleAttribute("data-me", mine);
    this.#spoken.textContent = `${texts.rank} `;
    this.#rank.textContent = words.number(rank);
    this.#name.textContent = name || who(row);
    this.#you.textContent = mine && row.userId ? ` ${texts.you}` : "";
    // The average of a group has any number of decimals; whoever wants them all finds them.
    const exact = words.number(value);
    this.#value.textContent = members === undefined ? exact : words.rounded(value);
    this.#value.title = this.#value.textContent === exact ? "" : exact;
    const { [AVATAR]: picture = "", ...others } = attributes;
    const extra = members === undefined ? Object.values(others) : [texts.members(members, words.number(members))];
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

  /** Says how far the row came: up, down, or new on the board (null). */
  showMove(from, words) {
    const up = from === null || this.rank < from;
    const places = from === null ? words.texts.fresh : words.number(Math.abs(from - this.rank));
    const spoken = from === null ? "" : `${words.texts[up ? "up" : "down"]} `;
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

  /** A tint that fades; one at a time, so that a busy row doesn't flicker. */
  flash() {
    if (stillness.matches || this.#flash?.playState === "running") return;
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
  #rows = new Map(); // by whom they are about, as on the screen

  constructor(part) {
    this.element = make("ol", { part, role: "list" }); // the role: Safari drops it from lists without bullets
  }

  clear() {
    this.#rows.clear();
    this.element.replaceChildren();
  }

  /** Shows these rows, `me` marked. `changed` has the rank before of all who were named since the last time. */
  draw(rows, changed, me, words) {
    const moving = this.#rows.size > 0 && !document.hidden && !stillness.matches;
    // FLIP: where rows are on the screen now, where they belong, and a glide from the one to the other.
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
      const id = who(data);
      const row = this.#rows.get(id);
      const from = known.has(id) ? row.rank : changed.get(id);
      row.show(data, me, words);
      if (!changed.has(id)) continue;
      if (from !== data.rank) row.showMove(from, words);
      row.flash();
    }
  }

  /** Puts the rows into the list in order, touching only those that aren't in their place. */
  #place(rows) {
    const staying = new Set(rows.map(who));
    for (const [id, row] of this.#rows) {
      if (staying.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    let next = this.element.firstElementChild;
    for (const data of rows) {
      let row = this.#rows.get(who(data));
      if (!row) this.#rows.set(who(data), (row = new Row(who(data))));
      if (row.element === next) next = next.nextElementSibling;
      else this.element.insertBefore(row.element, next);
    }
  }
}
