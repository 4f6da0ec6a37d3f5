/**
 * Finds secrets by value in what leaves the sidecar, in every form they commonly take: as they are, escaped for JSON
 * (twice: what a tool prints is JSON within JSON) or for a URL, and in base64, alone or after anything else, as in
 * `user:secret`. No form holds a line end, so whole lines can be looked at by themselves.
 */

/** What stands where a secret was. */
export const REDACTED = '[redacted]';

/** Shorter ones would be found in text that only looks alike. */
const SECRET_CHARS_MIN = 8;
/** What is left of a longer one is worth nothing without its beginning. */
const SECRET_CHARS_MAX = 4096;
/** A base64 text of a secret depends on where it begins; three bytes make four characters. */
const BASE64_PHASES = [0, 1, 2] as const;

/** The bytes or characters from `start` up to, not including, `end`. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
}

export interface Redactor {
  /** How many bytes before a place, and behind it, say whether it lies within a secret. */
  readonly reachBytes: number;
  /** Where secrets are, in order; those that touch or overlap are one. */
  find(bytes: Buffer, options?: FindOptions): Stretch[];
  redact(text: string, options?: FindOptions): string;
}

export interface FindOptions {
  /** More may have followed, and is not there to be seen: the end counts as a secret if it can be the beginning of one. */
  readonly isCut: boolean;
}

/** @param secrets As they are; ones that are too short are passed over. */
export function createRedactor(secrets: readonly string[], toBase64: (bytes: Uint8Array) => string): Redactor {
  const forms = [...new Set(secrets.flatMap((secret) => formsOf(secret, toBase64)))];
  const encoder = new TextEncoder();
  const encoded = forms.map((form) => encoder.encode(form));
  return {
    reachBytes: Math.max(0, ...encoded.map((form) => form.length - 1)),
    find: (bytes, options) => findForms<Uint8Array>(bytes, encoded, options),
    redact: (text, options) =>
      replaceStretches(findForms<string>(text, forms, options), { start: 0, end: text.length }, (start, end) =>
        text.slice(start, end),
      ),
  };
}

/** The text of `whole` with what `found` names replaced; `read` gives the text of the rest. */
export function replaceStretches(
  found: readonly Stretch[],
  whole: Stretch,
  read: (start: number, end: number) => string,
): string {
  let text = '';
  let at = whole.start;
  for (const { start, end } of found) {
    text += read(at, start) + REDACTED;
    at = end;
  }
  return text + read(at, whole.end);
}

function formsOf(secret: string, toBase64: (bytes: Uint8Array) => string): string[] {
  if (secret.length < SECRET_CHARS_MIN) return [];
  // By way of bytes, as half a surrogate pair has no form in a URL.
  const plain = new TextDecoder().decode(new TextEncoder().encode(secret.slice(0, SECRET_CHARS_MAX)));
  return [plain, ...base64Forms(plain, toBase64)].flatMap((form) => [
    form,
    escapeJson(form),
    escapeJson(escapeJson(form)),
    ...urlForms(form),
  ]);
}

function escapeJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** Encoders differ in the case of their digits, and in a few characters that need no escape. */
function urlForms(text: string): string[] {
  const common = encodeURIComponent(text);
  const strict = common.replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  return [common, strict].flatMap((form) => [form, form.replaceAll(/%../g, (escape) => escape.toLowerCase())]);
}

/** The characters of a base64 text that depend on the secret alone, wherever in the encoded bytes it begins. */
function base64Forms(secret: string, toBase64: (bytes: Uint8Array) => string): string[] {
  const bytes = new TextEncoder().encode(secret);
  return BASE64_PHASES.flatMap((phase) => {
    const padded = new Uint8Array(phase + bytes.length);
    padded.set(bytes, phase);
    const first = Math.ceil((phase * 8) / 6);
    const last = Math.floor((padded.length * 8) / 6);
    const stable = toBase64(padded).slice(first, last);
    return [stable, stable.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

type Sequence = string | Uint8Array;

/** Characters or bytes that can be searched for others of their kind. */
interface Searchable<T> {
  readonly length: number;
  indexOf(wanted: T, from: number): number;
}

function findForms<T extends Sequence>(
  whole: Searchable<T>,
  forms: readonly T[],
  { isCut }: FindOptions = { isCut: false },
): Stretch[] {
  return union([
    ...forms.flatMap((form) => occurrences(whole, form)),
    ...(isCut ? forms.flatMap((form) => beginningAtEnd(whole, form)) : []),
  ]);
}

/** Every place of a form, overlapping ones as well. */
function occurrences<T extends Sequence>(whole: Searchable<T>, form: T): Stretch[] {
  const found: Stretch[] = [];
  for (let start = whole.indexOf(form, 0); start >= 0; start = whole.indexOf(form, start + 1)) {
    found.push({ start, end: start + form.length });
  }
  return found;
}

/** The longest beginning of a form that the whole ends with, if it tells more than what only looks alike. */
function beginningAtEnd<T extends Sequence>(whole: Searchable<T>, form: T): Stretch[] {
  const lengthMax = Math.min(form.length - 1, whole.length);
  for (let length = lengthMax; length >= SECRET_CHARS_MIN; length--) {
    const start = whole.length - length;
    if (whole.indexOf(form.slice(0, length) as T, start) === start) return [{ start, end: whole.length }];
  }
  return [];
}

function union(stretches: readonly Stretch[]): Stretch[] {
  const united: Stretch[] = [];
  for (const stretch of stretches.toSorted((a, b) => a.start - b.start)) {
    const last = united.at(-1);
    if (last === undefined || stretch.start > last.end) united.push(stretch);
    else united[united.length - 1] = { start: last.start, end: Math.max(last.end, stretch.end) };
  }
  return united;
}
