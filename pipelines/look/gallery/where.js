'use strict';
// The query line: what stands behind DuckDB's WHERE, asked of the server; a page from disk has none.

const canAsk = () => source === served;
const isMistake = (error) => error?.message.startsWith('where: ');
const QUOTED = /(\w+)\s*(?:=|<>|!=|in\s*\()\s*'([^']*)$/i; // a value of a column that is not yet closed

// Completes the word before the end: names of columns, within quotes the values that the column has.
function completions(typed) {
  const quoted = QUOTED.exec(typed), word = /\w*$/.exec(typed)[0];
  if (quoted) {
    const name = { category: 'kind', answers: 'generator', flagged: 'reason' }[quoted[1]] ?? quoted[1], before = typed.slice(0, typed.length - quoted[2].length);
    return (counts.facets[name] ?? []).map(([value]) => `${before}${value.replaceAll("'", "''")}'`);
  }
  if ((typed.split("'").length - 1) % 2) return []; // within a text
  return about.columns.map((name) => typed.slice(0, typed.length - word.length) + name);
}

function complete() {
  byId('completions').replaceChildren(...completions(byId('where').value).map((value) => new Option('', value)));
}

function showWhere(fault) {
  const told = isMistake(fault) ? fault.message : '';
  byId('mistake').hidden = !told;
  byId('mistake').textContent = told;
  byId('where').setAttribute('aria-invalid', String(Boolean(told)));
  if (document.activeElement !== byId('where')) byId('where').value = state.where;
}

function startWhere() {
  byId('condition').hidden = !canAsk();
  byId('where').onfocus = complete;
  byId('where').oninput = complete;
  byId('where').onchange = (event) => change({ where: event.target.value.trim() });
}
