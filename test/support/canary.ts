import { randomBytes } from 'node:crypto';

/** Nothing else has it by chance, and it needs no escaping anywhere, so that it is the same in JSON, URLs and shells. */
const CORE_BYTES = 16;
/** Either half of it is enough to be found by. */
const HALF_CHARS = CORE_BYTES;

/** A secret made to be searched for. */
export interface Canary {
  readonly name: string;
  readonly secret: string;
  readonly forms: readonly (readonly [form: string, text: string])[];
}

/** Somewhere a secret could be. */
export interface Place {
  readonly where: string;
  readonly content: string | Buffer;
}

/** @param prefix What the secret begins with; it holds what has to be escaped in JSON, URLs and shells. */
export function makeCanary(name: string, prefix: string): Canary {
  const core = randomBytes(CORE_BYTES).toString('hex');
  const halves = [core.slice(0, HALF_CHARS), core.slice(HALF_CHARS)];
  return { name, secret: prefix + core, forms: halves.flatMap(formsOf) };
}

/** Says which canaries are in which places, and in what form. */
export function findCanaries(canaries: readonly Canary[], places: Iterable<Place>): string[] {
  const found = new Set<string>();
  for (const { where, content } of places) {
    const text = content.toString('latin1');
    // What tools break over lines is one text again.
    const joined = text.replaceAll(/(\\[rn]|[\r\n])+/g, '');
    for (const { name, forms } of canaries) {
      for (const [form, needle] of forms) {
        if (text.includes(needle) || joined.includes(needle)) found.add(`${name} (${form}) in ${where}`);
      }
    }
  }
  return [...found].sort();
}

function formsOf(text: string): [form: string, text: string][] {
  const bytes = [...Buffer.from(text)];
  const each = (write: (hex: string) => string) => bytes.map((byte) => write(byte.toString(16))).join('');
  return [
    ['plain', text],
    ['reversed', Array.from(text).reverse().join('')],
    ['hex', each((hex) => hex)],
    ['hex in capitals', each((hex) => hex.toUpperCase())],
    ['URL-encoded', each((hex) => `%${hex}`)],
    ['JSON escapes', each((hex) => `\\u00${hex}`)],
    ...[0, 1, 2].map((offset): [string, string] => [`base64 from ${offset}`, base64At(text, offset)]),
  ];
}

/** What the base64 of anything holds that has the text so many bytes behind a multiple of three. */
function base64At(text: string, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), Buffer.from(text)]).toString('base64');
  // Characters at the ends depend on the neighbours too.
  return encoded.slice(Math.ceil((offset * 4) / 3), Math.floor(((offset + text.length) * 4) / 3));
}
