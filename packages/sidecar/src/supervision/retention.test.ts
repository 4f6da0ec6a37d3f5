import { describe, expect, it } from 'vitest';
import { Retention } from './retention.js';

function retention() {
  const forgotten: [id: string, wasAcknowledged: boolean][] = [];
  const kept = new Retention({
    limits: { acknowledgedMax: 2, unacknowledgedMax: 3, bytesMax: 100 },
    onForgotten: (...forgot) => forgotten.push(forgot),
  });
  return { kept, forgotten };
}

describe('of what has ended', () => {
  it('the oldest is forgotten when there are too many, counted for either kind', () => {
    const { kept, forgotten } = retention();
    for (const id of ['a', 'b', 'c', 'd']) kept.keep(id, 1);
    expect(forgotten).toEqual([['a', false]]);
    for (const id of ['b', 'c', 'd', 'd', 'a']) kept.acknowledge(id);
    expect(forgotten).toEqual([
      ['a', false],
      ['b', true],
    ]);
    expect(kept.isAcknowledged('d')).toBe(true);
    expect(kept.unacknowledgedCount).toBe(0);
  });

  it('what was acknowledged is forgotten first when it takes too much room', () => {
    const { kept, forgotten } = retention();
    kept.keep('a', 40);
    kept.keep('b', 40);
    kept.acknowledge('b');
    kept.keep('c', 60);
    expect(forgotten).toEqual([['b', true]]);
    kept.keep('d', 40);
    expect(forgotten.slice(1)).toEqual([['a', false]]);
    kept.keep('e', 1);
    expect(forgotten.slice(2)).toEqual([['c', false]]);
    expect(kept.unacknowledgedCount).toBe(2);
  });
});
