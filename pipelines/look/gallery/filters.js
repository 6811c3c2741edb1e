'use strict';
// The line of filters: several values of each, ranges, a text, the order, and what is chosen now.

let counts = { total: 0, facets: {}, bins: {} }; // the overview of what is asked for, which filters count from

function showViews() {
  byId('views').replaceChildren(...Object.entries(about.views).map(([view, told]) => {
    const n = told.exported !== undefined && told.exported < told.total ? `${counted(told.exported)} of ${counted(told.total)}` : counted(told.total);
    const made = button('', `${view} ${n}`, () => change({ ...EMPTY, view, show: state.show === 'changes' ? 'list' : state.show }));
    made.dataset.view = view;
    made.setAttribute('aria-pressed', String(view === state.view));
    return made;
  }));
  for (const one of byId('shows').children) one.setAttribute('aria-pressed', String(one.dataset.show === state.show));
}

function showFilters(fault = null) {
  const open = document.activeElement?.closest?.('details.facet')?.id, focused = document.activeElement?.value;
  byId('facets').replaceChildren(...FACETS.filter((name) => counts.facets[name]?.length || state.values[name]).map(facet), ...tagMenu());
  if (open && byId(open)) {
    byId(open).open = true;
    [...byId(open).querySelectorAll('input')].find((box) => box.value === focused)?.focus();
  }
  const { score } = about.views[state.view], [low, high] = state.ranges.score ?? [null, null];
  for (const [name, now, at] of [['low', low, 0], ['high', high, 1]]) {
    byId(name).parentElement.hidden = score[0] === null;
    byId(name).placeholder = score[at] === null ? '' : score[at].toPrecision(3);
    if (document.activeElement !== byId(name)) byId(name).value = now ?? '';
  }
  if (document.activeElement !== byId('text')) byId('text').value = state.text;
  byId('sort').value = state.sort;
  showWhere(fault);
  showThresholds();
  showChosen();
}

function facet(name) {
  const made = element('details', 'facet'), chosen = state.values[name] ?? [], known = counts.facets[name] ?? [];
  made.id = `filter-${name}`;
  made.append(element('summary', chosen.length ? 'on' : '', chosen.length ? `${labelOf(name)}: ${chosen.length}` : labelOf(name)));
  const list = element('div', 'choices');
  list.setAttribute('role', 'group');
  list.setAttribute('aria-label', labelOf(name));
  list.append(...[...known, ...chosen.filter((value) => !known.some(([one]) => one === value)).map((value) => [value, 0])].map(([value, n]) => {
    const label = element('label'), box = element('input');
    box.type = 'checkbox';
    box.value = value;
    box.checked = chosen.includes(value);
    box.onchange = () => choose(name, value, box.checked);
    label.append(box, said('span', '', value), element('span', 'n', counted(n)));
    return label;
  }));
  made.append(list);
  return made;
}

// A bar stands for the ratings below its upper edge: to choose it shows what a threshold there would take away, the lowest rated first.
function showThresholds() {
  const edges = about.edges.score, bins = counts.bins.score;
  byId('histogram').hidden = !about.rated || !edges || !bins;
  if (byId('histogram').hidden) return;
  const most = Math.max(1, ...bins), high = state.ranges.score?.[1];
  let below = 0;
  byId('histogram').replaceChildren(element('span', '', about.rated), ...bins.map((n, i) => {
    const edge = edges[i + 1], last = i === bins.length - 1;
    below += n;
    const bar = button('', null, () => change({ sort: 'lowest score', ranges: { ...state.ranges, score: [null, last ? null : edge] } }),
      `${about.rated} below ${edgeText(edge)}: ${counted(below)} row(s), ${counted(n)} of them in this bar`);
    bar.style.height = `${n ? Math.max(8, 100 * n / most) : 0}%`;
    bar.classList.toggle('taken', typeof high === 'number' && edge <= high + 1e-9);
    return bar;
  }));
}

function showChosen() {
  const chips = Object.entries(state.values).flatMap(([name, values]) => values.map((value) => [`${labelOf(name)}: ${value}`, () => choose(name, value, false)]));
  chips.push(...Object.entries(state.ranges).map(([name, [low, high]]) => [
    `${measureOf(name)}: ${[low === null ? '' : `from ${edgeText(low)}`, high === null ? '' : `below ${edgeText(high)}`].filter(Boolean).join(' ')}`, () => bound(name, null)]));
  chips.push(...state.tags.map((tag) => [`tag: ${tag}`, () => chooseTag(tag, false)]));
  if (state.where) chips.push([`where: ${state.where}`, () => { byId('where').value = ''; change({ where: '' }); }]);
  if (state.text) chips.push([`text: ${state.text}`, () => { byId('text').value = ''; change({ text: '' }); }]);
  byId('chosen').replaceChildren(...chips.map(([told, undo]) => {
    const chip = button('chip', null, undo, `remove ${told}`);
    chip.append(said('span', '', told), element('span', 'x', '×'));
    return chip;
  }));
  byId('total').textContent = `${counted(counts.total)} row(s)`;
}

let typing = 0;
function later(act) {
  clearTimeout(typing);
  typing = setTimeout(act, 200); // ms: after the last key
}

function startFilters() {
  byId('sort').append(...SORTS.map((sort) => new Option(sort, sort)));
  byId('sort').onchange = (event) => change({ sort: event.target.value });
  byId('text').oninput = (event) => later(() => change({ text: event.target.value }));
  for (const name of ['low', 'high']) byId(name).oninput = () => later(() => bound('score', ['low', 'high'].map((one) => (byId(one).value === '' ? null : Number(byId(one).value)))));
  startWhere();
  startTags();
  byId('filters').onsubmit = (event) => event.preventDefault();
  byId('filters').onreset = () => setTimeout(() => change({ ...EMPTY }));
  byId('more').onclick = () => byId('more').setAttribute('aria-expanded', String(byId('filters').classList.toggle('open')));
  document.addEventListener('click', (event) => { // a list of values closes when something else is pressed
    for (const open of document.querySelectorAll('details.facet[open]')) if (!open.contains(event.target) && event.target.isConnected) open.open = false;
  });
}
