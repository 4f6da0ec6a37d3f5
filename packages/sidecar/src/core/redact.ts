/**
 * Finds secrets by value in what leaves the sidecar, in every form they commonly take: as they are, escaped for JSON
 * (twice: what a tool prints is JSON within JSON) or for a URL, and in hex or base64, alone or after anything else, as
 * in `user:secret`. Only the last two can go over line ends.
 */
import { formsOf, SECRET_CHARS_MIN, type ToBase64 } from './secret-forms.js';
import { unwrap, wrappedCharsMax } from './unwrap.js';

/** What stands where a secret was. */
export const REDACTED = '[redacted]';

/** The bytes or characters from `start` up to, not including, `end`. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
}

export interface Redactor {
  /** How many bytes before a place, and behind it, say whether it lies within a secret. */
  readonly reachBytes: number;
  /** Where secrets are, in order; those that touch or overlap are one. One can go over line ends. */
  find(bytes: Buffer, options?: FindOptions): Stretch[];
  /** From where on the bytes may be the beginning of a secret that goes over a line end; their length if nowhere. */
  openFrom(bytes: Buffer): number;
  redact(text: string, options?: FindOptions): string;
}

export interface FindOptions {
  /** More may have followed, and is not there to be seen: the end counts as a secret if it can be the beginning of one. */
  readonly isCut: boolean;
}

/** @param secrets As they are; ones that are too short are passed over. */
export function createRedactor(secrets: readonly string[], toBase64: ToBase64): Redactor {
  const { inLine, wrapped } = formsOf(secrets, toBase64);
  const encoder = new TextEncoder();
  const encoded = inLine.map((form) => encoder.encode(form));
  const reachBytes = Math.max(
    0,
    ...encoded.map((form) => form.length - 1),
    ...wrapped.map((form) => wrappedCharsMax(form.length) - 1),
  );
  // In latin1 each byte is a character.
  const textOf = (bytes: Buffer) => (wrapped.length === 0 ? '' : bytes.toString('latin1'));
  return {
    reachBytes,
    find: (bytes, options) =>
      union([
        ...findForms<Uint8Array>(bytes, encoded, options),
        ...findWrapped(textOf(bytes), wrapped, (text, forms) => findForms<string>(text, forms, options)),
      ]),
    openFrom: (bytes) => {
      const tailStart = Math.max(0, bytes.length - reachBytes);
      const open = findWrapped(textOf(bytes.subarray(tailStart)), wrapped, beginningsAtEnd);
      return Math.min(bytes.length, ...open.map(({ start }) => tailStart + start));
    },
    redact: (text, options) => {
      const found = union([
        ...findForms<string>(text, inLine, options),
        ...findWrapped(text, wrapped, (unwrapped, forms) => findForms<string>(unwrapped, forms, options)),
      ]);
      return replaceStretches(found, { start: 0, end: text.length }, (start, end) => text.slice(start, end));
    },
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
  return [...forms.flatMap((form) => occurrences(whole, form)), ...(isCut ? beginningsAtEnd(whole, forms) : [])];
}

/** What `find` finds in a text that is broken over lines, and where that is; what is in one line was found already. */
function findWrapped(
  text: string,
  forms: readonly string[],
  find: (text: string, forms: readonly string[]) => Stretch[],
): Stretch[] {
  const unwrapped = unwrap(text);
  if (unwrapped === null) return [];
  return find(unwrapped.text, forms).map(({ start, end }) => ({
    start: unwrapped.originalAt(start),
    end: unwrapped.originalAt(end - 1) + 1,
  }));
}

/** Every place of a form, overlapping ones as well. */
function occurrences<T extends Sequence>(whole: Searchable<T>, form: T): Stretch[] {
  const found: Stretch[] = [];
  for (let start = whole.indexOf(form, 0); start >= 0; start = whole.indexOf(form, start + 1)) {
    found.push({ start, end: start + form.length });
  }
  return found;
}

/** Of each form the longest beginning that the whole ends with, if it tells more than what only looks alike. */
function beginningsAtEnd<T extends Sequence>(whole: Searchable<T>, forms: readonly T[]): Stretch[] {
  return forms.flatMap((form) => {
    const lengthMax = Math.min(form.length - 1, whole.length);
    for (let length = lengthMax; length >= SECRET_CHARS_MIN; length--) {
      const start = whole.length - length;
      if (whole.indexOf(form.slice(0, length) as T, start) === start) return [{ start, end: whole.length }];
    }
    return [];
  });
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
