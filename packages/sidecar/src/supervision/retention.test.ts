import { describe, expect, it } from 'vitest';
import { type Kept, Retention } from './retention.js';

const LIMITS = { acknowledgedMax: 2, acknowledgedMs: 1000, unacknowledgedMax: 3, bytesMax: 100, logBytesMax: 100 };

function retention() {
  const forgotten: [id: string, wasAcknowledged: boolean][] = [];
  const dropped: [id: string, wasAcknowledged: boolean][] = [];
  const kept = new Retention({
    limits: LIMITS,
    onForgotten: (...forgot) => forgotten.push(forgot),
    onLogsDropped: (...dropping) => dropped.push(dropping),
  });
  const keep = (id: string, more: Partial<Kept> = {}) => {
    kept.keep(id, { bytes: 1, logBytes: 0, endedAt: 0, ...more });
    kept.prune(0);
  };
  const acknowledge = (id: string) => {
    const isNews = kept.acknowledge(id);
    kept.prune(0);
    return isNews;
  };
  return { kept, keep, acknowledge, forgotten, dropped };
}

describe('of what has ended', () => {
  it('the oldest is forgotten when there are too many, counted for either kind', () => {
    const { kept, keep, acknowledge, forgotten } = retention();
    for (const id of ['a', 'b', 'c', 'd']) keep(id);
    expect(forgotten).toEqual([['a', false]]);
    expect(['b', 'c', 'd', 'd', 'a'].map(acknowledge)).toEqual([true, true, true, false, false]);
    expect(forgotten).toEqual([
      ['a', false],
      ['b', true],
    ]);
    expect(kept.isAcknowledged('d')).toBe(true);
    expect(kept.unacknowledgedCount).toBe(0);
  });

  it('what was acknowledged is forgotten first when it takes too much room', () => {
    const { kept, keep, acknowledge, forgotten } = retention();
    keep('a', { bytes: 40 });
    keep('b', { bytes: 40 });
    acknowledge('b');
    keep('c', { bytes: 60 });
    expect(forgotten).toEqual([['b', true]]);
    keep('d', { bytes: 40 });
    expect(forgotten.slice(1)).toEqual([['a', false]]);
    keep('e');
    expect(forgotten.slice(2)).toEqual([['c', false]]);
    expect(kept.unacknowledgedCount).toBe(2);
  });

  it('what was acknowledged is forgotten when it is old, and nothing else is', () => {
    const { kept, keep, acknowledge, forgotten } = retention();
    keep('a', { endedAt: 5 });
    keep('b', { endedAt: 6 });
    keep('c', { endedAt: 6 });
    acknowledge('a');
    acknowledge('b');
    kept.prune(1005);
    expect(forgotten).toEqual([]);
    kept.prune(1006);
    expect(forgotten).toEqual([['a', true]]);
    kept.prune(9999);
    expect(forgotten.slice(1)).toEqual([['b', true]]);
  });

  it('logs are dropped before anything is forgotten, those that were acknowledged first, and each once', () => {
    const { keep, acknowledge, forgotten, dropped } = retention();
    keep('a', { logBytes: 60 });
    keep('b', { logBytes: 30 });
    acknowledge('b');
    keep('c', { logBytes: 35 });
    expect(dropped).toEqual([['b', true]]);
    acknowledge('c');
    keep('d', { logBytes: 70 });
    expect(dropped.slice(1)).toEqual([
      ['c', true],
      ['a', false],
    ]);
    keep('e', { logBytes: 1 });
    expect([dropped.length, forgotten]).toEqual([3, [['b', true]].slice(1)]);
  });

  it('what is forgotten takes its logs along', () => {
    const { keep, dropped, forgotten } = retention();
    for (const id of ['a', 'b', 'c']) keep(id, { logBytes: 30 });
    keep('d', { logBytes: 40 });
    expect([forgotten, dropped]).toEqual([[['a', false]], []]);
  });
});
