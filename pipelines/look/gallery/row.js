'use strict';
// One row in full: pictures, turns, answers word by word, scores, replies, what it is related to, and every other fact.

function missing(image, i) {
  return element('div', 'missing', `picture ${i + 1} is not in the snapshot, nor in a working folder open here (--work DIR): ${image.id}`);
}

function pictures(images) {
  const made = element('div', 'pictures');
  made.append(...images.map((image, i) => {
    const address = source.imageOf(image);
    if (!address) return missing(image, i);
    const figure = element('figure'), shown = element('img'), told = element('figcaption', '', /^[0-9a-f]{64}$/.test(image.id) ? image.id.slice(0, 16) : image.id);
    const larger = button('picture', null, () => enlarge(address, shown.alt), `picture ${i + 1}, larger`);
    shown.alt = `picture ${i + 1}`;
    shown.onload = () => { told.textContent += ` · ${shown.naturalWidth} × ${shown.naturalHeight}`; };
    shown.onerror = () => figure.replaceWith(element('div', 'missing', `picture ${i + 1} cannot be shown by this browser: ${image.id}`));
    shown.src = address;
    larger.append(shown);
    figure.append(larger, told);
    return figure;
  }));
  return made;
}

function enlarge(address, alt) {
  const shown = element('img');
  shown.src = address;
  shown.alt = alt;
  byId('large').replaceChildren(shown, button('close', '×', () => byId('large').close(), 'close'));
  byId('large').onclick = () => byId('large').close();
  byId('large').showModal();
}

function besides(entry) {
  return entry.beside.map((other) => {
    const made = block('beside', other.who, other.texts.join('\n'));
    if (other.images.length) made.append(pictures(other.images));
    return made;
  });
}

function replies(entry) {
  const made = element('details');
  made.className = 'replies';
  made.append(element('summary', '', `${entry.replies.length} model repl${entry.replies.length === 1 ? 'y' : 'ies'}`), ...entry.replies.map(replyBlock));
  return made;
}

function replyBlock(reply) {
  const about = reply.model ? `${reply.model} · ${reply.end} · ${reply.tokens[0]} + ${reply.tokens[1]} tokens · ` : '';
  const absent = 'What was replied is not here: it lies in the working folder of the build, or in the reply store that --replies DIR opens.';
  const shown = block('reply', about + reply.key.slice(0, 16), reply.model ? reply.text || '(no text)' : absent);
  shown.dataset.key = reply.key;
  if (reply.raw) {
    const raw = element('details');
    raw.append(element('summary', '', 'raw'), said('pre', '', reply.raw));
    shown.append(raw);
  }
  return shown;
}

// What was sent for each reply, filled when it has come; a page from disk does not know.
function prompts(row) {
  const blocks = [...byId('entry').querySelectorAll('.reply[data-key]')];
  if (!source.prompts || !blocks.length) return;
  source.prompts(row).then((found) => blocks.forEach((block) => block.querySelector('.who').after(promptOf(found[block.dataset.key]))),
    (error) => blocks.forEach((block) => block.append(element('div', 'fault', error.message))));
}

function promptOf(sent) {
  if (!sent) return element('div', 'dim', 'What was sent cannot be made again here: the mix is not beside the triples, or another version of phantom sent it.');
  const made = element('details', 'prompt');
  made.append(element('summary', '', `prompt that was sent (${sent.who})`), ...sent.messages.map((message) => block('turn', message.role, message.text)));
  return made;
}

// Filled when it has come: a row does not wait for its kin.
function related(row) {
  const made = element('section', 'related');
  made.setAttribute('aria-label', 'related rows');
  source.related(row).then((groups) => made.append(...groups.map((group) => {
    const list = element('ul');
    list.append(element('li', 'who', `${group.why}: ${counted(group.total)} other row(s)`), ...group.rows.map((other) => {
      const item = element('li'), told = [other.reason ?? other.view, other.question, other.chosen].filter(Boolean).join(' · ');
      const link = said('a', '', told);
      link.href = `#${new URLSearchParams({ view: other.view, show: state.show === 'overview' ? 'list' : state.show, n: other.n })}`;
      item.append(link);
      return item;
    }));
    return list;
  }))).catch(showFault);
  return made;
}

function parts(entry) {
  let picture = 0;
  const made = [element('h2', '', entry.id)];
  if (entry.reason) made.push(block('reason', `${entry.reason.reason} · ${entry.reason.unit} · step ${entry.reason.step}`, entry.reason.detail));
  if (entry.images.length) made.push(pictures(entry.images));
  made.push(...besides(entry));
  for (const turn of entry.turns) made.push(block('turn ' + (turn.role === 'assistant' ? 'assistant' : 'user'), turn.role, turn.parts.map((part) => part ?? `[picture ${++picture}]`).join('\n')));
  const answers = element('div', 'answers');
  if (entry.chosen !== null && entry.rejected !== null) answers.append(...pairOf(['answer chosen', 'chosen', entry.chosen], ['answer rejected', 'rejected', entry.rejected]));
  else if (entry.chosen !== null) answers.append(block('answer chosen', 'chosen', entry.chosen));
  else if (entry.rejected !== null) answers.append(block('answer rejected', 'rejected', entry.rejected));
  made.push(answers);
  if (Object.keys(entry.scores).length) made.push(table(entry.scores));
  if (entry.replies.length) made.push(replies(entry));
  made.push(table(entry.facts));
  return made;
}

function showEntry(entry, row) {
  const shown = parts(entry);
  shown.splice(-1, 0, related(row));
  shown.splice(1, 0, tagChips(row));
  byId('entry').replaceChildren(button('narrow', '‹ rows', () => byId('main').classList.remove('reading')), ...shown);
  prompts(row);
  byId('entry').scrollTop = 0;
}

function showFault(error) {
  byId(['overview', 'compare'].includes(state.show) ? 'overview' : 'entry').replaceChildren(isMistake(error) ? element('p', 'dim', 'No row: the condition cannot be asked.') : element('p', 'fault', error.message));
}
