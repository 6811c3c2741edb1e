'use strict';
// A box that scrolls over any number of items and holds only those that can be seen: a few dozen nodes for a hundred thousand rows.

const TALLEST = 8_000_000; // px: browsers lay out nothing much taller, so that beyond it a step of the bar is several rows
const OVERSCAN = 3; // lines above and below

class Scroller {
  constructor(box, make) {
    Object.assign(this, { box, make, total: 0, height: 1, columns: 1, nodes: new Map() });
    this.inner = element('div', 'inner');
    box.replaceChildren(this.inner);
    box.addEventListener('scroll', () => this.draw(), { passive: true });
    new ResizeObserver(() => this.lay()).observe(box);
  }

  // `shape` says, for the width of the box, how many columns there are and how tall a line is.
  set(total, shape) {
    Object.assign(this, { total, shape });
    this.clear();
    this.lay();
  }

  clear() {
    for (const node of this.nodes.values()) node.remove();
    this.nodes.clear();
  }

  lay() {
    if (!this.shape || !this.box.clientWidth) return;
    const before = `${this.columns} ${this.height} ${this.width}`;
    Object.assign(this, this.shape(this.box.clientWidth), { width: this.box.clientWidth });
    if (before !== `${this.columns} ${this.height} ${this.width}`) this.clear();
    this.lines = Math.ceil(this.total / this.columns);
    this.inner.style.height = `${Math.min(TALLEST, this.lines * this.height)}px`;
    this.draw();
  }

  // Where the box looks in a page that is as tall as all lines together.
  get top() {
    const all = this.lines * this.height, drawn = Math.min(TALLEST, all), room = this.box.clientHeight;
    return drawn === all ? this.box.scrollTop : (this.box.scrollTop / Math.max(1, drawn - room)) * (all - room);
  }

  set top(top) {
    const all = this.lines * this.height, drawn = Math.min(TALLEST, all), room = this.box.clientHeight;
    this.box.scrollTop = drawn === all ? top : (top / Math.max(1, all - room)) * (drawn - room);
  }

  get seen() {
    const first = Math.floor(this.top / this.height), last = Math.ceil((this.top + this.box.clientHeight) / this.height);
    return [Math.min(first * this.columns, this.total), Math.min(last * this.columns, this.total)];
  }

  reveal(i) {
    const line = Math.floor(i / this.columns) * this.height, top = this.top;
    if (line < top) this.top = line;
    else if (line + this.height > top + this.box.clientHeight) this.top = line + this.height - this.box.clientHeight;
    this.draw();
  }

  draw() {
    if (!this.shape) return;
    const [from, to] = this.seen, first = Math.max(0, from - OVERSCAN * this.columns), last = Math.min(this.total, to + OVERSCAN * this.columns);
    for (const [i, node] of this.nodes) if (i < first || i >= last) { node.remove(); this.nodes.delete(i); }
    const shift = this.box.scrollTop - this.top, width = this.width / this.columns;
    for (let i = first; i < last; i += 1) {
      if (!this.nodes.has(i)) {
        const node = this.make(i);
        node.style.height = `${this.height}px`;
        node.style.width = `${width}px`;
        this.nodes.set(i, node);
        this.inner.append(node);
      }
      this.nodes.get(i).style.transform = `translate(${(i % this.columns) * width}px, ${Math.floor(i / this.columns) * this.height + shift}px)`;
    }
    this.drawn?.(from, to);
  }

  again(from, to) {
    for (const [i, node] of this.nodes) if (i >= from && i < to) { node.remove(); this.nodes.delete(i); }
    this.draw();
  }
}
