'use strict';
// What all parts of the page use. Every text comes from data that may be hostile: it goes in by textContent only, never as HTML.

const byId = (id) => document.getElementById(id);
const counted = (n) => Number(n).toLocaleString('en');

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined && text !== null) made.textContent = String(text);
  return made;
}

// A text of the data: in the direction of its own script.
function said(tag, className, text) {
  const made = element(tag, className, text);
  made.dir = 'auto';
  return made;
}

function button(className, text, press, label) {
  const made = element('button', className, text);
  made.type = 'button';
  if (label) {
    made.title = label;
    made.setAttribute('aria-label', label);
  }
  made.onclick = press;
  return made;
}

function block(className, who, text) {
  const made = element('div', className);
  made.append(element('span', 'who', who), said('div', 'text', text));
  return made;
}

function table(facts) {
  const made = element('table');
  made.append(...Object.entries(facts).map(([name, value]) => {
    const line = element('tr'), head = element('th', '', name);
    head.scope = 'row';
    line.append(head, said('td', '', typeof value === 'object' ? JSON.stringify(value) : value));
    return line;
  }));
  return made;
}
