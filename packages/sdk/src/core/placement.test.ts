import { describe, expect, it } from 'vitest';
import { type Place, rankPlaces } from './placement.js';

const place = (agentId: string, rest: Partial<Place> = {}): Place => ({
  ...{ agentId, labels: {}, max: 2, live: 0, queued: 0, isClosed: false },
  ...rest,
});
const ranked = (places: Place[], labels: Record<string, string> = {}) =>
  rankPlaces(places, labels).map(({ agentId }) => agentId);

describe('placement', () => {
  it('prefers the agent with the most room for its size, then the larger one, then by name', () => {
    expect(ranked([place('a', { live: 1 }), place('b')])).toEqual(['b', 'a']);
    expect(ranked([place('a', { live: 1 }), place('b', { live: 2, max: 8 })])).toEqual(['b', 'a']);
    expect(ranked([place('a'), place('b', { max: 3 })])).toEqual(['b', 'a']);
    expect(ranked([place('b'), place('a')])).toEqual(['a', 'b']);
  });

  it('takes those that are full last, the shortest queue first, and behind them those that admit nothing', () => {
    const full = place('full', { live: 2, queued: 3 });
    const fuller = place('fuller', { live: 2, queued: 4 });
    const closed = place('closed', { isClosed: true });
    const busy = place('busy', { live: 9, max: 10 });
    const none = place('none', { max: 0 });
    expect(ranked([none, closed, fuller, full, busy])).toEqual(['busy', 'full', 'fuller', 'none', 'closed']);
  });

  it('takes only those that carry every label', () => {
    const gpu = place('gpu', { labels: { gpu: 'yes', zone: 'a' } });
    expect(ranked([gpu, place('plain')], { gpu: 'yes' })).toEqual(['gpu']);
    expect(ranked([gpu], { gpu: 'yes', zone: 'b' })).toEqual([]);
    expect(ranked([gpu, place('plain')])).toEqual(['gpu', 'plain']);
  });
});
