'use strict';

// The checks are those of docs/formats/certificate.md, in its order. Nothing
// here asks a server for anything; the page's policy would not let it.

class No extends Error {}

function need(holds, why) {
  if (!holds) throw new No(why);
}

const utf8 = (text) => new TextEncoder().encode(text);

function join(...parts) {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest('SHA-256', join(...parts)));

const same = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);

const base64 = (bytes) => btoa(String.fromCharCode(...bytes));

/** Bytes of a base64 text in its one spelling, of the length that is wanted. */
function bytesOf(text, length, what) {
  let bytes;
  try {
    bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch {
    throw new No(`${what} is not base64.`);
  }
  need(bytes.length === length && base64(bytes) === text, `${what} is not spelt as the format wants.`);
  return bytes;
}

/** JSON as RFC 8785 writes it, for the values that a certificate has. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const fields = Object.keys(value).sort();
    return `{${fields.map((k) => `${JSON.stringify(k)}:${canonical(value[k])}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

/** The text without the spaces between its tokens. */
const compact = (text) => text.replace(/("(?:[^"\\]|\\.)*")|[ \t\r\n]+/g, (_, string) => string ?? '');

function parse(text) {
  let c;
  try {
    c = JSON.parse(text);
  } catch {
    throw new No('This is not a certificate: it is no JSON.');
  }
  need(c !== null && typeof c === 'object' && !Array.isArray(c), 'This is not a certificate.');
  need(canonical(c) === compact(text), 'The file is not spelt as the format wants: something in it was changed.');
  const keys = Object.keys(c).filter((k) => k !== 'subject_salt');
  const known = 'checkpoint,format,inclusion_proof,leaf,leaf_index,public_key';
  need(c.format === 'mailvow deletion certificate v1', 'This is not a certificate of a version that this page knows.');
  need(keys.join(',') === known, 'The certificate has other values than the format wants.');
  need(c.leaf !== null && typeof c.leaf === 'object' && c.leaf.kind === 'erasure' && c.leaf.v === 1, 'Its entry is not an erasure.');
  need(Array.isArray(c.inclusion_proof) && c.inclusion_proof.length <= 63, 'Its proof is not one.');
  need(Number.isSafeInteger(c.leaf_index) && c.leaf_index >= 0, 'Its place in the log is not a number.');
  return c;
}

/** A note verifier key (C2SP signed-note) of an Ed25519 key. */
async function keyOf(text) {
  const parts = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(String(text));
  need(parts, 'The public key is not a note verifier key.');
  const key = bytesOf(parts[3], 33, 'The public key');
  const id = (await sha256(utf8(`${parts[1]}\n`), key)).slice(0, 4);
  need(key[0] === 1 && [...id].map((b) => b.toString(16).padStart(2, '0')).join('') === parts[2], 'The public key is not an Ed25519 key of that name.');
  return { name: parts[1], id, raw: key.slice(1) };
}

/** The size and root that the checkpoint's one signature is over. */
async function signed(checkpoint, key) {
  const parts = /^([^\n]+)\n(0|[1-9][0-9]*)\n([^\n]+)\n\n\u2014 ([^ \n]+) ([^ \n]+)\n$/.exec(String(checkpoint));
  need(parts && parts[1] === key.name && parts[4] === key.name, 'The checkpoint is not a signed one of that key.');
  const root = bytesOf(parts[3], 32, "The log's root");
  const signature = bytesOf(parts[5], 68, 'The signature');
  need(same(signature.slice(0, 4), key.id), 'The checkpoint is signed by another key.');
  let holds;
  try {
    const ed25519 = await crypto.subtle.importKey('raw', key.raw, 'Ed25519', false, ['verify']);
    const text = utf8(`${parts[1]}\n${parts[2]}\n${parts[3]}\n`);
    holds = await crypto.subtle.verify('Ed25519', ed25519, signature.slice(4), text);
  } catch (error) {
    if (error.name === 'NotSupportedError') throw new Error('This browser does not know Ed25519. Use a newer one, or mailvow certificate verify.');
    throw error;
  }
  need(holds, 'The signature does not hold.');
  const size = Number(parts[2]);
  need(Number.isSafeInteger(size), "The log's size is not a number.");
  return { size, root };
}

/** RFC 9162 2.1.3.2, which verifies the proofs of RFC 6962 2.1.1. */
async function included(leaf, index, proof, size, root) {
  let hash = await sha256(new Uint8Array([0]), leaf);
  let at = index;
  let last = size - 1;
  const half = (n) => Math.floor(n / 2);
  for (const text of proof) {
    const other = bytesOf(text, 32, 'A hash of the proof');
    need(last > 0, 'The proof is too long.');
    if (at % 2 === 1 || at === last) {
      hash = await sha256(new Uint8Array([1]), other, hash);
      while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)];
    } else {
      hash = await sha256(new Uint8Array([1]), hash, other);
    }
    [at, last] = [half(at), half(last)];
  }
  return last === 0 && same(hash, root);
}

/** The address as it is hashed: docs/formats/evidence.md. */
function canonicalAddress(text) {
  const at = text.trim().lastIndexOf('@');
  need(at > 0, 'That is not an address.');
  let domain;
  try {
    domain = new URL(`http://${text.trim().slice(at + 1)}`).hostname;
  } catch {
    throw new No('That is not an address.');
  }
  return `${text.trim().slice(0, at).normalize('NFC').toLowerCase()}@${domain}`;
}

/** Verifies a certificate, and gives what it says. It throws No where it does not hold. */
async function verifyCertificate(text, known = {}) {
  if (!globalThis.crypto?.subtle) throw new Error('This page needs HTTPS, or to be opened from a file: without that the browser offers no cryptography.');
  need(text.length <= 128 * 1024, 'The file is larger than any certificate.');
  const c = parse(text);
  const trusted = (known.key ?? '').trim();
  need(!trusted || trusted === c.public_key, 'It is signed by another key than the one you gave.');
  const key = await keyOf(c.public_key);
  const { size, root } = await signed(c.checkpoint, key);
  need(c.leaf_index < size, 'It points outside its log.');
  const there = await included(utf8(canonical(c.leaf)), c.leaf_index, c.inclusion_proof, size, root);
  need(there, 'The proof does not show that its entry stands in the log.');
  const subject = c.leaf.body.subject;
  let salt;
  if (c.subject_salt !== undefined) {
    salt = bytesOf(c.subject_salt, 32, 'The salt');
    need(base64(await sha256(utf8('mailvow evidence salt v1\n'), salt)) === subject.salt, "The salt is not that of its entry.");
  }
  const address = (known.address ?? '').trim();
  if (address) {
    need(salt, "This copy has no salt; only the person's own copy can be compared with an address.");
    need(base64(await sha256(salt, utf8(canonicalAddress(address)))) === subject.hash, 'It is about another address.');
  }
  return { certificate: c, size, trusted: Boolean(trusted), matches: Boolean(address) };
}

function show(list, term, text) {
  const row = document.createElement('div');
  row.append(Object.assign(document.createElement('dt'), { textContent: term }));
  row.append(Object.assign(document.createElement('dd'), { textContent: text }));
  list.append(row);
}

/** What the verified entry says, as text: nothing of it is read as HTML. */
function tell({ certificate: c, size, trusted, matches }) {
  const list = document.createElement('dl');
  const { body } = c.leaf;
  if (matches) show(list, 'Person', 'the erased one is the address you gave');
  show(list, 'Erased', c.leaf.at);
  show(list, 'Ordered by', c.leaf.by.role);
  show(list, 'Reason', `${body.reason}, under policy ${body.policy}`);
  for (const x of body.categories) {
    show(list, x.category, `${x.erased} erased${x.kept ? `, ${x.kept} kept: ${x.why}` : ''}`);
  }
  for (const x of body.reached) show(list, 'Reached at once', x);
  for (const x of body.follows) show(list, `By ${x.by}`, x.what);
  show(list, 'Certificate', body.certificate);
  show(list, 'In the log', `${c.checkpoint.split('\n')[0]}, entry ${c.leaf_index + 1} of ${size}`);
  show(list, trusted ? 'Signed by the key you gave' : 'Signed by', c.public_key);
  return list;
}

function answer(kind, title, more) {
  const result = document.getElementById('result');
  result.className = kind;
  const head = Object.assign(document.createElement('h2'), { textContent: title });
  result.replaceChildren(head, ...more);
}

const paragraph = (textContent) => Object.assign(document.createElement('p'), { textContent });

async function check(event) {
  event?.preventDefault();
  const field = (id) => document.getElementById(id);
  try {
    const file = field('file').files[0];
    const text = file ? new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await file.arrayBuffer()) : field('text').value;
    if (!text.trim()) return answer('', 'Choose a file, or paste the certificate.', []);
    const found = await verifyCertificate(text, { address: field('address').value, key: field('key').value });
    const compare = 'Compare the key below with the one that the operator publishes, or give it above: whoever makes a certificate can make a key.';
    answer('holds', 'The certificate holds.', [...(found.trusted ? [] : [paragraph(compare)]), tell(found)]);
  } catch (error) {
    const unknown = !(error instanceof No) && !(error instanceof TypeError);
    answer('broken', unknown ? 'It could not be verified.' : 'The certificate does not hold.', [
      paragraph(error instanceof TypeError ? 'It is not spelt as the format wants.' : error.message),
    ]);
  }
}

document.getElementById('form').addEventListener('submit', check);
document.getElementById('file').addEventListener('change', check);
