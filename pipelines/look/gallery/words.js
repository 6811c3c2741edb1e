'use strict';
// Which words of two answers differ: those that are not in their longest common run of words.

const MOST_WORDS = 1500; // of each text: the table of comparisons grows with their product
const WORD = /\s+|[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]|[\p{L}\p{M}\p{N}]+|[^]/gu;

// Returns, for each text, its pieces as [text, whether the other has it in the same order], or null where they are too long to compare.
function differing(one, other) {
  const a = one.match(WORD) ?? [], b = other.match(WORD) ?? [];
  if (a.length > MOST_WORDS || b.length > MOST_WORDS) return null;
  const width = b.length + 1, longest = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) for (let j = b.length - 1; j >= 0; j -= 1) {
    longest[i * width + j] = a[i] === b[j] ? longest[(i + 1) * width + j + 1] + 1 : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
  }
  const left = [], right = [];
  let i = 0, j = 0;
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) { left.push([a[i++], true]); right.push([b[j++], true]); } else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) left.push([a[i++], false]);
    else right.push([b[j++], false]);
  }
  while (i < a.length) left.push([a[i++], false]);
  while (j < b.length) right.push([b[j++], false]);
  return [left, right];
}

// A block whose text has marks where it differs; blanks alone are no difference worth a mark.
function marked(className, who, text, pieces) {
  const made = block(className, who, ''), shown = made.lastChild;
  if (!pieces) shown.textContent = text;
  else shown.append(...pieces.map(([piece, shared]) => (shared || !piece.trim() ? piece : element('mark', '', piece))));
  return made;
}

function pairOf([className, who, text], [otherClass, otherWho, otherText]) {
  const pieces = differing(text, otherText);
  return [marked(className, who, text, pieces?.[0]), marked(otherClass, otherWho, otherText, pieces?.[1])];
}
