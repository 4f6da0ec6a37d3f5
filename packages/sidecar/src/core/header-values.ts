/**
 * A header of the provider's answer, by its name in lower case. What was sent more than once comes joined with ", ", and
 * the first of it counts.
 */
export type HeaderLookup = (name: string) => string | undefined;

/** The last moment that a date can be. */
const EPOCH_MS_MAX = 8.64e15;

/** RFC 9110's own form, the only one to be sent. What else `Date.parse` takes for a date ("5 apples") is none. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT(?=,|$)/;

/** A name, such as `allowed_warning`; anything that cannot be one is as good as absent. */
export function readWord(headers: HeaderLookup, name: string): string | undefined {
  const word = first(headers(name));
  return word !== undefined && /^[\w.-]{1,64}$/.test(word) ? word : undefined;
}

/** A number that is finite and not negative. */
export function readNumber(headers: HeaderLookup, name: string): number | undefined {
  const digits = first(headers(name));
  // Not all that `Number` takes: for it, nothing at all is 0.
  if (digits === undefined || !/^\d+(\.\d+)?(e[+-]?\d+)?$/i.test(digits)) return undefined;
  const number = Number(digits);
  return Number.isFinite(number) ? number : undefined;
}

/** Epoch seconds, as epoch milliseconds. */
export function readTime(headers: HeaderLookup, name: string): number | undefined {
  const seconds = readNumber(headers, name);
  return seconds === undefined ? undefined : dated(Math.round(seconds * 1000));
}

/** When `retry-after` (seconds or a date) is over, in epoch milliseconds, never before `nowEpochMs`. */
export function readRetryAfter(headers: HeaderLookup, nowEpochMs: number): number | undefined {
  const seconds = readNumber(headers, 'retry-after');
  if (seconds !== undefined) return dated(nowEpochMs + Math.ceil(seconds * 1000));
  const date = HTTP_DATE.exec(headers('retry-after')?.trim() ?? '')?.[0];
  if (date === undefined) return undefined;
  // eslint-disable-next-line no-restricted-globals -- reads what was sent, not the clock
  const epochMs = Date.parse(date);
  return Number.isNaN(epochMs) ? undefined : Math.max(nowEpochMs, epochMs);
}

function first(value: string | undefined): string | undefined {
  return value?.split(',', 1)[0]?.trim();
}

function dated(epochMs: number): number | undefined {
  return epochMs <= EPOCH_MS_MAX ? epochMs : undefined;
}
