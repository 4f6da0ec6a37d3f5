import { describe, expect, it } from 'vitest';
import { TURN_BYTES, turns } from './turns.js';

/** What happens in which order once the event loop goes on, other work included. */
function recorder() {
  const order: string[] = [];
  const work = (name: string, bytes: number) => () => {
    order.push(name);
    return bytes;
  };
  const other = () => setImmediate(() => order.push('other'));
  const done = async (names: number) => {
    while (order.length < names) await new Promise((resolve) => setImmediate(resolve));
    return order;
  };
  return { work, other, done };
}

describe('readers of logs', () => {
  it('let other work come between once a turn is used up', async () => {
    const { work, other, done } = recorder();
    for (const name of ['a', 'b', 'c']) turns.ask(work(name, TURN_BYTES / 2));
    other();
    expect(await done(4)).toEqual(['a', 'b', 'other', 'c']);
  });

  it('use up a turn by being many, though none has anything to do', async () => {
    const { work, other, done } = recorder();
    const count = 1000;
    for (let n = 0; n < count; n++) turns.ask(work('look', 0));
    other();
    const order = await done(count + 1);
    expect(order.filter((name) => name === 'look')).toHaveLength(count);
    expect(order.indexOf('other')).toBeLessThan(count / 2);
  });

  it('come once for many times asked, behind those who asked before, and not when they withdrew', async () => {
    const { work, other, done } = recorder();
    const [a, b, c] = [work('a', 1), work('b', 1), work('c', 1)];
    for (const each of [a, b, a, c, a]) turns.ask(each);
    turns.withdraw(b);
    other();
    expect(await done(3)).toEqual(['a', 'c', 'other']);
  });

  it('that ask again while at work wait for those who are waiting', async () => {
    const { work, done } = recorder();
    const rest = work('b', TURN_BYTES);
    let left = 3;
    const again = () => {
      if (--left > 0) turns.ask(again);
      return work('a', TURN_BYTES)();
    };
    turns.ask(again);
    turns.ask(rest);
    expect(await done(4)).toEqual(['a', 'b', 'a', 'a']);
  });
});
