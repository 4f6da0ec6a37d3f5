import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readNumber, readRetryAfter, readTime, readWord } from './header-values.js';

const of = (value?: string) => (name: string) => (name === 'retry-after' ? value : undefined);
const NOW = Date.parse('2026-03-01T12:00:00Z');

describe('a word', () => {
  it.each([
    ['allowed_warning', 'allowed_warning'],
    [' rejected ', 'rejected'],
    ['rejected, allowed', 'rejected'],
    ['7d.x-1', '7d.x-1'],
    ['x'.repeat(64), 'x'.repeat(64)],
    ['x'.repeat(65), undefined],
    ['', undefined],
    [', allowed', undefined],
    ['two words', undefined],
    ['<b>', undefined],
    ['allowed!', undefined],
    [undefined, undefined],
  ])('%j is read as %j', (sent, read) => {
    expect(readWord(of(sent), 'retry-after')).toBe(read);
  });
});

describe('a number', () => {
  it.each([
    ['0', 0],
    ['12', 12],
    ['0.71', 0.71],
    ['0.125', 0.125],
    ['4.5e-05', 0.000045],
    ['1E+3', 1000],
    ['1e3', 1000],
    [' 5 ', 5],
    ['5, 7', 5],
    ['', undefined],
    [' ', undefined],
    ['NaN', undefined],
    ['Infinity', undefined],
    ['-1', undefined],
    ['+1', undefined],
    ['.5', undefined],
    ['5.', undefined],
    ['0x10', undefined],
    ['1e', undefined],
    ['5s', undefined],
    ['1.2.3', undefined],
    ['9'.repeat(400), undefined],
    ['1e999', undefined],
    [undefined, undefined],
  ])('%j is read as %j', (sent, read) => {
    expect(readNumber(of(sent), 'retry-after')).toBe(read);
  });
});

describe('a time', () => {
  it.each([
    ['1762952400', 1_762_952_400_000],
    ['1762952400.0006', 1_762_952_400_001],
    ['8640000000000', 8.64e15],
    ['8640000000001', undefined],
    ['9'.repeat(300), undefined],
    ['2026-03-01T12:00:00Z', undefined],
    [undefined, undefined],
  ])('%j is read as %j', (sent, read) => {
    expect(readTime(of(sent), 'retry-after')).toBe(read);
  });
});

describe('retry-after', () => {
  it.each([
    ['2', NOW + 2000],
    ['1.0001', NOW + 1001],
    ['0', NOW],
    ['2, 60', NOW + 2000],
    ['Sun, 01 Mar 2026 12:00:05 GMT', NOW + 5000],
    [' Sun, 01 Mar 2026 12:00:05 GMT ', NOW + 5000],
    ['Sun, 01 Mar 2026 12:00:05 GMT, Sun, 01 Mar 2026 13:00:00 GMT', NOW + 5000],
    ['Sun, 01 Mar 2026 11:00:00 GMT', NOW],
    ['Sun, 99 Mar 2026 12:00:05 GMT', undefined],
    ['at Sun, 01 Mar 2026 12:00:05 GMT', undefined],
    ['Sun, 01 Mar 2026 12:00:05 GMTX', undefined],
    ['soon, 5 apples', undefined],
    ['5 apples', undefined],
    ['2027', NOW + 2_027_000],
    ['2027-01-01', undefined],
    ['-5', undefined],
    ['8640000000000', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%j is over at %j', (sent, at) => {
    expect(readRetryAfter(of(sent), NOW)).toBe(at);
  });
});

it('whatever is sent, what is read is a time that a date can be', () => {
  const hostile = fc.oneof(fc.string(), fc.double().map(String), fc.bigInt().map(String), fc.date().map(String));
  fc.assert(
    fc.property(hostile, (sent) => {
      for (const at of [readTime(of(sent), 'retry-after'), readRetryAfter(of(sent), NOW)]) {
        if (at !== undefined) expect(new Date(at).getTime()).toBeGreaterThanOrEqual(0);
      }
    }),
  );
});
