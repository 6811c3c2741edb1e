'use strict';
// Tags of rows: kept by this browser for this snapshot, shown, chosen by, and saved as a list that `phantom select --exclude` reads.

const MOST_TAGGED = 5000; // rows that an address has room for
const MOST_TAG = 60; // characters
let tags = new Map(); // tag -> Map of id -> [view, n]

const tagsKey = () => `phantom tags of ${about.snapshot_id}`;
const tagsOf = (row) => [...tags].filter(([, rows]) => rows.has(row.id)).map(([tag]) => tag);
const asTag = (text) => text.replace(/[\p{C}\s]+/gu, ' ').trim().slice(0, MOST_TAG);

function readTags() {
  try {
    const ours = (one) => Array.isArray(one) && typeof one[0] === 'string' && Number.isInteger(one[1]); // others may write at this address, too
    tags = new Map(Object.entries(JSON.parse(localStorage.getItem(tagsKey()) ?? '{}')).map(([tag, rows]) => [tag, new Map(Object.entries(rows).filter(([, one]) => ours(one)))]));
  } catch {
    tags = new Map(); // what stands there is none of ours
  }
}

function keepTags() {
  const held = Object.fromEntries([...tags].filter(([, rows]) => rows.size).map(([tag, rows]) => [tag, Object.fromEntries(rows)]));
  try {
    localStorage.setItem(tagsKey(), JSON.stringify(held));
  } catch {
    byId('mistake').hidden = false;
    byId('mistake').textContent = 'This browser does not keep tags (its storage is full or switched off): save them before the page is closed.';
  }
}

// The numbers of the rows of this view that have one of the chosen tags.
function taggedNumbers() {
  const found = state.tags.flatMap((tag) => [...(tags.get(tag)?.values() ?? [])]).filter(([view]) => view === state.view).map(([, n]) => n);
  return [...new Set(found)].sort((a, b) => a - b);
}

// As the server is asked for them; - for none.
function taggedRows() {
  return taggedNumbers().slice(0, MOST_TAGGED).join(',') || '-';
}

function setTag(row, tag, on) {
  const held = tags.get(tag) ?? new Map();
  if (on) tags.set(tag, held.set(row.id, [row.view, row.n]));
  else held.delete(row.id);
  if (!held.size) tags.delete(tag);
  keepTags();
  rows.scroller.again(rows.at, rows.at + 1);
  byId('entry').querySelector('.tagged')?.replaceWith(tagChips(row));
  showFilters();
}

// Gives the open row the word in the field, or takes it away; without a word asks for one.
function tagOpen() {
  const tag = asTag(byId('tag').value), row = rows.at >= 0 && !['overview', 'compare'].includes(state.show) ? rowAt(rows.at) : null;
  if (!canAsk() || !row) return;
  if (!tag) return byId('tag').focus();
  setTag(row, tag, !tags.get(tag)?.has(row.id));
  byId('rows').focus();
}

function tagChips(row) {
  const made = element('div', 'tagged');
  made.append(...tagsOf(row).map((tag) => {
    const chip = button('chip', null, () => setTag(row, tag, false), `take the tag ${tag} away`);
    chip.append(said('span', '', tag), element('span', 'x', '×'));
    return chip;
  }));
  return made;
}

function chooseTag(tag, on) {
  change({ tags: state.tags.filter((one) => one !== tag).concat(on ? [tag] : []) });
}

// The menu of tags among the filters.
function tagMenu() {
  byId('tags').replaceChildren(...[...tags.keys()].map((tag) => new Option('', tag)));
  if (!canAsk() || !(tags.size || state.tags.length)) return [];
  const made = element('details', 'facet'), list = element('div', 'choices'), n = state.tags.length;
  made.id = 'filter-tags';
  list.setAttribute('role', 'group');
  list.setAttribute('aria-label', 'tags');
  list.append(...[...new Set([...tags.keys(), ...state.tags])].map((tag) => {
    const label = element('label'), box = element('input');
    box.type = 'checkbox';
    box.value = tag;
    box.checked = state.tags.includes(tag);
    box.onchange = () => chooseTag(tag, box.checked);
    label.append(box, said('span', '', tag), element('span', 'n', counted(tags.get(tag)?.size ?? 0)));
    return label;
  }));
  const all = taggedNumbers().length;
  if (all > MOST_TAGGED) list.append(element('span', 'dim', `of ${counted(all)} tagged rows the first ${counted(MOST_TAGGED)} are shown; the saved list holds all`));
  list.append(button('save', n ? 'save the chosen tags' : 'save all tags', saveTags, 'save as a list for phantom select --exclude'));
  made.append(element('summary', n ? 'on' : '', n ? `tags: ${n}` : 'tags'), list);
  return [made];
}

function saveTags() {
  const chosen = [...tags].filter(([tag]) => !state.tags.length || state.tags.includes(tag));
  const told = { snapshot_id: about.snapshot_id, kind: about.kind, name: about.name, tags: Object.fromEntries(chosen.map(([tag, held]) => [tag, [...held.keys()].sort()])) };
  const link = element('a');
  link.href = URL.createObjectURL(new Blob([JSON.stringify(told, null, 1) + '\n'], { type: 'application/json' }));
  link.download = 'tags.json';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // ms: the browser has it by then
}

function startTags() {
  readTags();
  byId('tagging').onsubmit = (event) => { event.preventDefault(); tagOpen(); };
  addEventListener('storage', (event) => { if (event.key === tagsKey()) { readTags(); render(); } });
}
