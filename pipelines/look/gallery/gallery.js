'use strict';
// Every text comes from data that may be hostile: it goes in by textContent only, never as HTML.
// Rows come from the server beside this page, or, when the page was exported, from PHANTOM_ROWS.

const PAGE = 50;
const byId = (id) => document.getElementById(id);
const state = { view: 'kept', filters: {}, text: '', low: '', high: '', sort: 'order', offset: 0, total: 0, rows: [], at: 0 };
let about = null;
let asked = 0;

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined && text !== null) made.textContent = String(text);
  return made;
}

async function answer(address) {
  let reply;
  try {
    reply = await fetch(address);
  } catch {
    throw new Error('The gallery does not answer: is phantom gallery still running? Start it again and reload this page.');
  }
  if (!reply.ok) throw new Error(`The gallery cannot show this (${reply.status}): ${await reply.text()}`);
  return reply.json();
}

const served = {
  imageOf: (image) => (image.here ? '/' + image.address : ''),
  about: () => answer('/api/about'),
  entry: (row) => answer('/api/row?' + new URLSearchParams({ view: state.view, n: row.n })),
  page() {
    const wanted = { view: state.view, ...state.filters, text: state.text, low: state.low, high: state.high, sort: state.sort, offset: state.offset, limit: PAGE };
    const filled = Object.entries(wanted).filter(([, value]) => value !== '' && value !== undefined);
    return answer('/api/page?' + new URLSearchParams(filled));
  },
};

const exported = {
  imageOf: (image) => image.url || '',
  about: async () => PHANTOM_ABOUT,
  entry: async (row) => row.entry,
  async page() {
    const all = PHANTOM_ROWS.filter((row) => row.view === state.view).map(short).filter(matches);
    const signs = { 'lowest score': 1, 'highest score': -1 };
    if (signs[state.sort]) all.sort((a, b) => signs[state.sort] * ((a.score ?? Infinity * signs[state.sort]) - (b.score ?? Infinity * signs[state.sort])) || a.n - b.n);
    return { total: all.length, rows: all.slice(state.offset, state.offset + PAGE) };
  },
};

function short(entry) {
  const facts = entry.facts, said = entry.turns.flatMap((turn) => turn.parts.filter((part) => part !== null)).join(' ');
  const kind = facts.kind ?? (entry.view === 'kept' ? facts.category : undefined);
  const generator = facts.generator ?? (entry.view === 'kept' ? facts.answers : undefined);
  return { n: entry.n, id: entry.id, source: facts.source, kind, generator, split: facts.split, reason: entry.reason?.reason ?? facts.flagged, unit: entry.reason?.unit,
    score: typeof facts.score === 'number' ? facts.score : null, question: said, chosen: entry.chosen, rejected: entry.rejected, entry };
}

function matches(row) {
  if (Object.entries(state.filters).some(([name, value]) => value && row[name] !== value)) return false;
  if (state.low !== '' && !(row.score !== null && row.score >= Number(state.low))) return false;
  if (state.high !== '' && !(row.score !== null && row.score <= Number(state.high))) return false;
  const wanted = state.text.toLowerCase();
  return !wanted || [row.id, row.question, row.chosen, row.rejected, row.entry.reason?.detail].some((text) => (text ?? '').toLowerCase().includes(wanted));
}

const source = typeof PHANTOM_ROWS === 'undefined' ? served : exported;

function showViews() {
  byId('views').replaceChildren(...Object.entries(about.views).map(([view, told]) => {
    const n = told.exported !== undefined && told.exported < told.total ? `${told.exported} of ${told.total}` : told.total.toLocaleString('en');
    const button = element('button', '', `${view} ${n}`);
    button.type = 'button';
    button.dataset.view = view;
    button.setAttribute('aria-pressed', String(view === state.view));
    button.onclick = () => setView(view);
    return button;
  }));
}

const OF_A_MIX = { kind: 'category', generator: 'answers', reason: 'flagged' }; // what these filters hold where rows are samples

function showFilters() {
  const { filters, score } = about.views[state.view];
  byId('selects').replaceChildren(...Object.entries(filters).filter(([, values]) => values.length).map(([name, values]) => {
    const select = element('select');
    select.id = 'filter-' + name;
    const label = about.kind === 'mix' && state.view === 'kept' ? OF_A_MIX[name] ?? name : name;
    select.setAttribute('aria-label', label);
    select.append(new Option(`${label}: any`, ''), ...values.map(([value, n]) => new Option(`${value} (${n.toLocaleString('en')})`, value)));
    select.value = state.filters[name] ?? '';
    select.onchange = () => { state.filters[name] = select.value; refresh(); };
    return select;
  }));
  for (const name of ['low', 'high']) byId(name).parentElement.hidden = score[0] === null;
  showHistogram();
  byId('low').placeholder = score[0] === null ? 'from' : score[0].toPrecision(3);
  byId('high').placeholder = score[1] === null ? 'to' : score[1].toPrecision(3);
}

// A bar stands for the ratings up to its upper edge: to choose it shows what a threshold there would take away, the lowest rated first.
function showHistogram() {
  const { histogram } = about.views[state.view];
  byId('histogram').hidden = !histogram;
  if (!histogram) return;
  const { ask, low, high, bins } = histogram, most = Math.max(1, ...bins);
  let below = 0;
  const bars = bins.map((n, i) => {
    const edge = low + (high - low) * (i + 1) / bins.length, bar = element('button');
    below += n;
    bar.type = 'button';
    bar.style.height = `${n ? Math.max(8, 100 * n / most) : 0}%`;
    bar.title = `${ask} up to ${edge.toPrecision(3)}: ${below.toLocaleString('en')} row(s), ${n.toLocaleString('en')} of them in this bar`;
    bar.setAttribute('aria-label', bar.title);
    bar.classList.toggle('taken', state.high !== '' && edge <= Number(state.high) + 1e-9);
    bar.onclick = () => {
      byId('high').value = state.high = String(Number(edge.toPrecision(6)));
      byId('sort').value = state.sort = 'lowest score';
      showHistogram();
      refresh();
    };
    return bar;
  });
  byId('histogram').replaceChildren(element('span', '', ask), ...bars);
}

function showRows() {
  byId('rows').replaceChildren(...state.rows.map((row, i) => {
    const item = element('li'), head = element('div', 'head');
    head.append(element('span', '', row.source), element('span', '', row.reason ?? row.kind ?? ''));
    if (typeof row.score === 'number') head.append(element('span', 'score', row.score.toPrecision(4)));
    item.append(head, element('div', 'said', row.question || row.id), element('div', 'said', [row.chosen, row.rejected].filter((text) => text !== null && text !== undefined).join('  ≠  ')));
    item.setAttribute('aria-current', String(i === state.at));
    item.onclick = () => step(i);
    return item;
  }));
  const last = Math.min(state.offset + state.rows.length, state.total);
  byId('place').textContent = state.total ? `${(state.offset + 1).toLocaleString('en')} to ${last.toLocaleString('en')} of ${state.total.toLocaleString('en')}` : 'no row matches';
  byId('back').disabled = state.offset === 0;
  byId('on').disabled = last >= state.total;
}

function block(className, who, text) {
  const made = element('div', className);
  made.append(element('span', 'who', who), element('div', 'text', text));
  return made;
}

function missing(image, i) {
  return element('div', 'missing', `picture ${i + 1} is not in the snapshot, nor in a working folder open here (--work DIR): ${image.id}`);
}

function pictures(images) {
  const made = element('div', 'pictures');
  made.append(...images.map((image, i) => {
    const address = source.imageOf(image);
    if (!address) return missing(image, i);
    const figure = element('figure'), shown = element('img');
    shown.src = address;
    shown.alt = `picture ${i + 1}`;
    shown.onerror = () => figure.replaceWith(element('div', 'missing', `picture ${i + 1} cannot be shown by this browser: ${image.id}`));
    figure.append(shown, element('figcaption', '', /^[0-9a-f]{64}$/.test(image.id) ? image.id.slice(0, 16) : image.id));
    return figure;
  }));
  return made;
}

function besides(entry) {
  return entry.beside.map((other) => {
    const made = block('beside', other.who, other.texts.join('\n'));
    if (other.images.length) made.append(pictures(other.images));
    return made;
  });
}

function table(facts) {
  const made = element('table');
  made.append(...Object.entries(facts).map(([name, value]) => {
    const line = element('tr');
    line.append(element('th', '', name), element('td', '', typeof value === 'object' ? JSON.stringify(value) : value));
    return line;
  }));
  return made;
}

function replies(entry) {
  const made = element('details');
  made.append(element('summary', '', `${entry.replies.length} model repl${entry.replies.length === 1 ? 'y' : 'ies'}`));
  made.append(...entry.replies.map((reply) => {
    if (!reply.model) return block('reply', reply.key.slice(0, 16), 'not in the reply store that is open here (--replies DIR)');
    const shown = block('reply', `${reply.model} · ${reply.end} · ${reply.tokens[0]} + ${reply.tokens[1]} tokens · ${reply.key.slice(0, 16)}`, reply.text || '(no text)');
    if (reply.raw) {
      const raw = element('details');
      raw.append(element('summary', '', 'raw'), element('pre', '', reply.raw));
      shown.append(raw);
    }
    return shown;
  }));
  return made;
}

function showEntry(entry) {
  let picture = 0;
  const parts = [element('h2', '', entry.id)];
  if (entry.reason) parts.push(block('reason', `${entry.reason.reason} · ${entry.reason.unit} · step ${entry.reason.step}`, entry.reason.detail));
  if (entry.images.length) parts.push(pictures(entry.images));
  parts.push(...besides(entry));
  for (const turn of entry.turns) parts.push(block('turn ' + (turn.role === 'assistant' ? 'assistant' : 'user'), turn.role, turn.parts.map((part) => part ?? `[picture ${++picture}]`).join('\n')));
  const answers = element('div', 'answers');
  if (entry.chosen !== null) answers.append(block('answer chosen', 'chosen', entry.chosen));
  if (entry.rejected !== null) answers.append(block('answer rejected', 'rejected', entry.rejected));
  parts.push(answers);
  if (Object.keys(entry.scores).length) parts.push(table(entry.scores));
  if (entry.replies.length) parts.push(replies(entry));
  parts.push(table(entry.facts));
  byId('entry').replaceChildren(...parts);
  byId('entry').scrollTop = 0;
}

async function refresh(keep) {
  if (!keep) state.offset = 0;
  const mine = ++asked;
  let found = { total: 0, rows: [] }, fault = null;
  try {
    found = await source.page();
  } catch (error) {
    fault = error;
  }
  if (mine !== asked) return; // a later question has been asked
  Object.assign(state, { total: found.total, rows: found.rows, at: 0 });
  showRows();
  byId('rows').scrollTop = 0;
  if (fault) showFault(fault);
  else if (state.rows.length) await step(0);
  else byId('entry').replaceChildren();
}

function showFault(error) {
  byId('entry').replaceChildren(element('p', 'fault', error.message));
}

async function step(to) {
  if (to < 0 && state.offset > 0) return turn(-1, true);
  if (to >= state.rows.length) return turn(1);
  if (to < 0) return undefined;
  state.at = to;
  [...byId('rows').children].forEach((item, i) => item.setAttribute('aria-current', String(i === to)));
  byId('rows').children[to].scrollIntoView({ block: 'nearest' });
  const row = state.rows[to];
  let show;
  try {
    const entry = await source.entry(row);
    show = () => showEntry(entry);
  } catch (error) {
    show = () => showFault(error);
  }
  if (state.rows[state.at] === row) show();
  return undefined;
}

async function turn(by, toLast) {
  const offset = state.offset + by * PAGE;
  if (offset < 0 || offset >= state.total) return;
  state.offset = offset;
  await refresh(true);
  if (toLast) await step(state.rows.length - 1);
}

function setView(view) {
  Object.assign(state, { view, filters: {} });
  showViews();
  showFilters();
  refresh();
}

const KEYS = {
  j: () => step(state.at + 1), ArrowDown: () => step(state.at + 1), k: () => step(state.at - 1), ArrowUp: () => step(state.at - 1),
  l: () => turn(1), ArrowRight: () => turn(1), h: () => turn(-1), ArrowLeft: () => turn(-1),
  v: () => setView(state.view === 'kept' ? 'rejected' : 'kept'), '/': () => byId('text').focus(),
};

document.addEventListener('keydown', (event) => {
  const inField = ['INPUT', 'SELECT'].includes(document.activeElement.tagName);
  if (event.key === 'Escape') document.activeElement.blur();
  if (inField || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

let typing = 0;
for (const name of ['text', 'low', 'high']) {
  byId(name).oninput = (event) => {
    clearTimeout(typing);
    typing = setTimeout(() => { state[name] = event.target.value; showHistogram(); refresh(); }, 200); // ms: after the last key
  };
}
byId('sort').onchange = (event) => { state.sort = event.target.value; refresh(); };
byId('back').onclick = () => turn(-1);
byId('on').onclick = () => turn(1);
byId('filters').onsubmit = (event) => event.preventDefault();
byId('filters').onreset = () => {
  Object.assign(state, { filters: {}, text: '', low: '', high: '', sort: 'order' });
  setTimeout(() => { showFilters(); refresh(); });
};

async function start() {
  about = await source.about();
  document.title = `${about.name}: phantom gallery`;
  byId('name').textContent = `${about.name} · ${about.kind}`;
  byId('snapshot').textContent = about.snapshot_id.slice(0, 16);
  byId('sort').append(...about.sorts.map((sort) => new Option(sort, sort)));
  showViews();
  showFilters();
  await refresh();
}

start().catch(showFault);
