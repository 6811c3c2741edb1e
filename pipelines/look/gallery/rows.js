'use strict';
// The rows that match, as a list or as a grid of pictures: asked for in pages as they come into sight, and which of them is open.

const KEPT_PAGES = 30; // that are held; others are asked for again
const REST = 60; // ms
const LINE = 72, CAPTION = 44; // px: of a row in the list, under a picture of the grid
const rows = { total: 0, at: -1, pages: new Map(), turn: 0, scroller: null, resting: 0 };

const listed = () => (state.show === 'changes' ? changes : source);

function rowAt(i) {
  const page = Math.floor(i / PAGE), known = rows.pages.get(page);
  if (!known) fetchSeen();
  return known?.rows?.[i - page * PAGE];
}

// Asks for what is in sight once it rests: who drags the bar over a hundred pages wants the last one.
function fetchSeen() {
  clearTimeout(rows.resting);
  rows.resting = setTimeout(() => {
    const [from, to] = rows.scroller.seen;
    for (let page = Math.floor(from / PAGE); page * PAGE < to; page += 1) fetchPage(page).catch(showFault);
  }, REST);
}

// One page, asked for once; null where other rows have been chosen meanwhile.
function fetchPage(page) {
  if (rows.pages.has(page)) return rows.pages.get(page).promise;
  const turn = rows.turn, held = {};
  held.promise = listed().page(page * PAGE).then((told) => {
    if (turn !== rows.turn) return null;
    held.rows = told.rows;
    rows.scroller.again(page * PAGE, (page + 1) * PAGE);
    return told;
  });
  rows.pages.set(page, held);
  const [from, to] = rows.scroller.seen.map((i) => Math.floor(i / PAGE));
  for (const old of rows.pages.keys()) if (rows.pages.size > KEPT_PAGES && old !== page && (old < from || old > to)) rows.pages.delete(old);
  held.promise.catch(() => rows.pages.delete(page));
  return held.promise;
}

async function showRows() {
  const turn = ++rows.turn;
  rows.pages.clear();
  let told = { total: 0, rows: [] }, place = null, fault = null;
  try {
    told = await fetchPage(0) ?? told;
    place = state.n === null ? null : await listed().place(state.n);
  } catch (error) {
    fault = error;
  }
  if (turn !== rows.turn) return; // a later question has been asked
  Object.assign(rows, { total: told.total, at: -1 });
  rows.scroller.set(rows.total, shapeOf);
  if (fault) return showFault(fault);
  if (!rows.total) return byId('entry').replaceChildren(element('p', 'dim', 'No row matches.'));
  await step(place ?? 0, { quietly: state.n === null });
}

function shapeOf(width) {
  if (state.show !== 'grid') return { columns: 1, height: LINE };
  const columns = Math.max(1, Math.floor(width / Number(byId('zoom').value)));
  return { columns, height: Math.floor(width / columns) + CAPTION };
}

function makeItem(i) {
  const row = rowAt(i), made = element('div', 'item');
  made.id = `row-${i}`;
  made.setAttribute('role', 'option');
  made.setAttribute('aria-posinset', i + 1);
  made.setAttribute('aria-setsize', rows.total);
  made.setAttribute('aria-selected', String(i === rows.at));
  made.onclick = () => { byId('main').classList.add('reading'); step(i); };
  if (!row) made.append(element('div', 'dim', '…'));
  else made.append(...(state.show === 'grid' ? tile(row) : line(row)));
  return made;
}

function line(row) {
  const head = element('div', 'head'), answers = [row.chosen, row.rejected].filter((text) => text !== null && text !== undefined).join('  ≠  ');
  head.append(said('span', '', row.source), said('span', '', row.reason ?? row.kind ?? ''));
  head.append(...tagsOf(row).map((tag) => said('span', 'tag', tag)));
  if (typeof row.score === 'number') head.append(element('span', 'score', row.score.toPrecision(4)));
  return [head, said('div', 'said', row.question || row.id), said('div', 'said', answers)];
}

function tile(row) {
  const frame = element('div', 'frame'), address = source.thumbOf(row), words = () => frame.replaceChildren(said('div', 'words', row.question || row.id));
  if (address) {
    const shown = element('img');
    shown.loading = 'lazy';
    shown.decoding = 'async';
    shown.alt = row.question || row.id;
    shown.onerror = words;
    shown.src = address;
    frame.append(shown);
  } else words();
  const note = [...tagsOf(row).map((tag) => `# ${tag}`), row.reason ?? row.source, typeof row.score === 'number' ? row.score.toPrecision(3) : ''].filter(Boolean).join(' · ');
  return [frame, said('div', 'said', row.chosen ?? row.question ?? row.id), said('div', 'said dim', note)];
}

// Opens the row at a place.
async function step(to, { quietly } = {}) {
  if (to < 0 || to >= rows.total) return;
  const turn = rows.turn;
  rows.at = to;
  rows.scroller.reveal(to);
  let show;
  try {
    await fetchPage(Math.floor(to / PAGE));
    const row = rowAt(to);
    if (turn !== rows.turn || rows.at !== to || !row) return;
    if (!quietly) change({ n: row.n }, { quietly: true });
    const entry = await listed().entry(row);
    show = () => (state.show === 'changes' ? showPair(entry) : showEntry(entry, row));
  } catch (error) {
    show = () => showFault(error);
  }
  if (turn === rows.turn && rows.at === to) show();
}

function turnPage(by) {
  const [from, to] = rows.scroller.seen;
  step(Math.max(0, Math.min(rows.total - 1, rows.at + by * Math.max(1, to - from - rows.scroller.columns))));
}

function drawn(from, to) {
  for (const [i, node] of rows.scroller.nodes) node.setAttribute('aria-selected', String(i === rows.at));
  byId('rows').setAttribute('aria-activedescendant', rows.scroller.nodes.has(rows.at) ? `row-${rows.at}` : '');
  byId('place').textContent = rows.total ? `${counted(from + 1)} to ${counted(to)} of ${counted(rows.total)}` : 'no row matches';
  byId('back').disabled = rows.at <= 0;
  byId('on').disabled = rows.at >= rows.total - 1;
}

function startRows() {
  rows.scroller = new Scroller(byId('rows'), makeItem);
  rows.scroller.drawn = drawn;
  byId('back').onclick = () => turnPage(-1);
  byId('on').onclick = () => turnPage(1);
  byId('zoom').oninput = () => { rows.scroller.lay(); if (rows.at >= 0) rows.scroller.reveal(rows.at); };
}
