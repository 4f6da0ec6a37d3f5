import { describe, expect, it } from 'vitest';
import { isNews, type RateLimits, readRateLimits, scopeOf } from './rate-limits.js';

/** Unified headers by what follows their common prefix. */
function read(headers: Record<string, string>): RateLimits | null {
  return readRateLimits((name) => {
    const [, key] = /^anthropic-ratelimit-unified-(.+)$/.exec(name) ?? [];
    return key === undefined ? undefined : headers[key];
  });
}

// As recorded from a good answer.
const RECORDED = {
  status: 'allowed',
  reset: '1780926000',
  'representative-claim': 'five_hour',
  'fallback-percentage': '0.5',
  'overage-status': 'rejected',
  '5h-status': 'allowed',
  '5h-reset': '1780926000',
  '5h-utilization': '0.71',
  '7d-status': 'allowed',
  '7d-reset': '1781409600',
  '7d-utilization': '0.19',
  '7d_sonnet-status': 'allowed',
  '7d_sonnet-reset': '1781409600',
  '7d_sonnet-utilization': '0.0',
};

describe('reading', () => {
  it('finds every window of a recorded answer', () => {
    expect(read(RECORDED)).toStrictEqual({
      status: 'allowed',
      window: 'five_hour',
      resetsAt: 1_780_926_000_000,
      windows: {
        '5h': { status: 'allowed', utilization: 0.71, resetsAt: 1_780_926_000_000 },
        '7d': { status: 'allowed', utilization: 0.19, resetsAt: 1_781_409_600_000 },
        '7d_sonnet': { status: 'allowed', utilization: 0, resetsAt: 1_781_409_600_000 },
      },
    });
  });

  it('finds the windows of some models', () => {
    expect(read({ '7d_opus-utilization': '1.02', '7d_oi-status': 'rejected' })?.windows).toStrictEqual({
      '7d_opus': { utilization: 1.02 },
      '7d_oi': { status: 'rejected' },
    });
  });

  it('takes an absent status for `allowed`', () => {
    expect(read({ '5h-reset': '1780926000' })).toStrictEqual({
      status: 'allowed',
      windows: { '5h': { resetsAt: 1_780_926_000_000 } },
    });
  });

  it('is content with a status alone', () => {
    expect(read({ status: 'rejected' })).toStrictEqual({ status: 'rejected', windows: {} });
  });

  it.each([{}, { reset: '1780926000' }, { status: '', '5h-utilization': 'NaN', '7d-reset': '-1' }])(
    'finds none in %j',
    (headers) => {
      expect(read(headers)).toBeNull();
    },
  );

  it.each([
    ['five_hour', '5h'],
    ['seven_day', '7d'],
    ['seven_day_opus', '7d_opus'],
    ['seven_day_sonnet', '7d_sonnet'],
    ['seven_day_overage_included', '7d_oi'],
  ])('takes the reset time of %s from its window when there is no other', (claim, window) => {
    const headers = { status: 'rejected', 'representative-claim': claim, [`${window}-reset`]: '100' };
    expect(read(headers)).toMatchObject({ window: claim, resetsAt: 100_000 });
    expect(read({ ...headers, reset: '200' })).toMatchObject({ resetsAt: 200_000 });
    expect(read({ ...headers, 'representative-claim': 'eternity' })).not.toHaveProperty('resetsAt');
  });

  it.each([
    ['true', { isOverageInUse: true }],
    ['false', { isOverageInUse: false }],
    ['perhaps', {}],
    ['', {}],
  ])('overage in use: %j', (sent, read_) => {
    expect(read({ status: 'allowed', 'overage-in-use': sent })).toStrictEqual({
      status: 'allowed',
      windows: {},
      ...read_,
    });
  });

  it('keeps what is hostile out', () => {
    const headers = {
      status: 'allowed, rejected',
      'representative-claim': '__proto__',
      reset: '9'.repeat(40),
      '5h-status': '<script>',
      '5h-utilization': '-0.5',
      '5h-reset': 'Infinity',
      '7d-utilization': 'NaN',
      '7d-status': 'rejected',
      '7d-reset': '1e999',
    };
    expect(read(headers)).toStrictEqual({
      status: 'allowed',
      window: '__proto__',
      windows: { '7d': { status: 'rejected' } },
    });
  });
});

describe('the scope of a limit', () => {
  it.each([
    ['five_hour', 'credential'],
    ['seven_day', 'credential'],
    ['seven_day_opus', 'model'],
    ['seven_day_sonnet', 'model'],
    ['seven_day_overage_included', 'model'],
    ['constructor', 'credential'],
    [undefined, 'credential'],
  ])('%s is one of the %s', (claim, scope) => {
    expect(scopeOf(claim)).toBe(scope);
  });
});

describe('news', () => {
  const before: RateLimits = {
    status: 'allowed',
    window: 'five_hour',
    resetsAt: 1000,
    isOverageInUse: false,
    windows: { '5h': { status: 'allowed', utilization: 0.5, resetsAt: 1000 }, '7d': { utilization: 0.29 } },
  };
  const { window: _window, ...withoutWindow } = before;
  const at = (utilization: number): RateLimits => ({ ...before, windows: { '7d': { utilization } } });

  it.each<[string, RateLimits]>([
    ['another status', { ...before, status: 'allowed_warning' }],
    ['another window', { ...before, window: 'seven_day' }],
    ['no window', withoutWindow],
    ['another reset time', { ...before, resetsAt: 2000 }],
    ['overage', { ...before, isOverageInUse: true }],
    ['a percent more', at(0.3)],
    ['a percent less', at(0.28)],
    ['a window not seen before', { ...before, windows: { '7d_oi': {}, '5h': { utilization: 0.1 } } }],
    ['a window that was not measured before', { ...before, windows: { '7d_oi': { utilization: 0 } } }],
    ['another status of a window', { ...before, windows: { '7d': { status: 'rejected', utilization: 0.29 } } }],
  ])('is %s', (_what, now) => {
    expect(isNews(before, now)).toBe(true);
  });

  it.each<[string, RateLimits]>([
    ['the same again', structuredClone(before)],
    ['less than a percent', at(0.2901)],
    ['a window that is left out', { ...before, windows: {} }],
  ])('is not %s', (_what, now) => {
    expect(isNews(before, now)).toBe(false);
  });

  it('is what comes first', () => {
    expect(isNews(null, before)).toBe(true);
    expect(isNews(null, { status: 'allowed', windows: {} })).toBe(true);
  });
});
