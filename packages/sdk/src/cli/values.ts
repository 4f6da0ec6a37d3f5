import { UsageError } from './exit-codes.js';

const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Reads a duration such as `90s`, `1.5h` or `250ms`; a bare number is seconds. @returns milliseconds @throws UsageError */
export function parseDurationMs(text: string): number {
  const [, amount, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? [];
  if (amount === undefined) throw new UsageError(`${text}: not a duration; write e.g. 90s, 20m or 1.5h`);
  return Math.round(Number(amount) * UNITS_MS[unit as keyof typeof UNITS_MS]);
}

/** Adds `name=value` to what was given before. @throws UsageError */
export function parsePair(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`${text}: expected name=value`);
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** Adds what stands between commas to what was given before. */
export function parseList(text: string, before: string[] = []): string[] {
  return [...before, ...text.split(',').filter((each) => each !== '')];
}

export function addOne(text: string, before: string[] = []): string[] {
  return [...before, text];
}

/** @throws UsageError */
export function parseCount(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`${text}: expected a whole number`);
  return Number(text);
}

/** Reads a moment as ISO 8601 or epoch milliseconds. @returns epoch ms @throws UsageError */
export function parseMoment(text: string): number {
  const at = /^\d{12,15}$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isNaN(at)) throw new UsageError(`${text}: expected a moment, e.g. 2030-01-31T12:00:00Z`);
  return at;
}

/** A duration as people read it, in two units at most. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  const [minutes, hours] = [Math.floor(whole / 60), Math.floor(whole / 3600)];
  if (minutes < 60) return pair(minutes, 'm', whole % 60, 's');
  return hours < 24 ? pair(hours, 'h', minutes % 60, 'm') : pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** power;
  return `${amount < 10 && power > 0 ? amount.toFixed(1) : Math.round(amount)} ${units[power] ?? ''}`;
}

/** Labels as they are given on the command line. */
export function formatLabels(labels: Readonly<Record<string, string>> = {}): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}
