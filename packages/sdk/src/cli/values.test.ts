import { describe, expect, it } from 'vitest';
import { UsageError } from './exit-codes.js';
import {
  formatBytes,
  formatDuration,
  formatLabels,
  parseCount,
  parseDurationMs,
  parseList,
  parseMoment,
  parsePair,
} from './values.js';

describe('a value on the command line', () => {
  it.each([
    ['90', 90_000],
    ['250ms', 250],
    ['20m', 1_200_000],
    ['1.5h', 5_400_000],
    ['1d', 86_400_000],
  ])('%s is a duration', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  it.each([
    [parseDurationMs, ['', '3x', '-1s', '1h30m', '1e9']],
    [parseCount, ['', '-1', '1.5', 'x', '9'.repeat(16)]],
    [parsePair, ['', 'x', '=x']],
    [parseMoment, ['', 'soon']],
  ])('%o refuses what is none', (parse, wrong) => {
    for (const text of wrong) expect(() => parse(text)).toThrow(UsageError);
  });

  it('adds up where it may be repeated', () => {
    expect(parsePair('b=2=3', parsePair('a=1'))).toEqual({ a: '1', b: '2=3' });
    expect(parseList('c', parseList('a,b,'))).toEqual(['a', 'b', 'c']);
  });

  it('is a moment as ISO 8601 or in epoch ms', () => {
    expect(parseMoment('2030-01-31T12:00:00Z')).toBe(1896091200000);
    expect(parseMoment('1896091200000')).toBe(1896091200000);
  });
});

describe('what people read', () => {
  it.each([
    [-5, '0.0s'],
    [1234, '1.2s'],
    [9999, '10.0s'],
    [10_000, '10s'],
    [59_600, '1m'],
    [61_000, '1m1s'],
    [3_600_000, '1h'],
    [5_430_000, '1h30m'],
    [90_000_000, '1d1h'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [64 * 1024 ** 2, '64 MiB'],
    [1024 ** 5 * 2, '2048 TiB'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('has labels as they are given', () => {
    expect(formatLabels({ team: 'a', env: 'prod' })).toBe('team=a,env=prod');
    expect(formatLabels()).toBe('');
  });
});
