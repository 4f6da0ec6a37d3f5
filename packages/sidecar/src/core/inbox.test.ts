import { LIMITS } from '@outrigger/protocol';
import { describe, expect, it } from 'vitest';
import { type Inbox, judgeMessage } from './inbox.js';

const EMPTY: Inbox = { messages: new Map(), canHear: true, pendingCount: 0, pendingBytes: 0 };
const judge = (inbox: Partial<Inbox>, message = { messageId: 'm', digest: 'd', bytes: 10 }) =>
  judgeMessage({ ...EMPTY, ...inbox }, message);
const numbered = (count: number) => new Map(Array.from({ length: count }, (_, n) => [`m${n}`, 'd']));

describe('a message', () => {
  it('is new the first time, and known from then on, whether or not more can be said', () => {
    expect(judge({})).toEqual({ verdict: 'new' });
    for (const canHear of [true, false]) {
      expect(judge({ messages: new Map([['m', 'd']]), canHear })).toEqual({ verdict: 'known' });
    }
  });

  it('with another text under the same id is a conflict', () => {
    const messages = new Map([['m', 'other']]);
    expect(judge({ messages })).toEqual({ verdict: 'refuse', code: 'message_conflict' });
    expect(judge({ messages, canHear: false })).toMatchObject({ code: 'message_conflict' });
  });

  it('is refused by what does not listen, or not any more', () => {
    expect(judge({ messages: null })).toEqual({ verdict: 'refuse', code: 'not_interactive' });
    expect(judge({ canHear: false })).toEqual({ verdict: 'refuse', code: 'input_ended' });
  });

  it.each<[keyof typeof LIMITS, Partial<Inbox>, Partial<Inbox>]>([
    [
      'messagesPendingMax',
      { pendingCount: LIMITS.messagesPendingMax - 1 },
      { pendingCount: LIMITS.messagesPendingMax },
    ],
    [
      'messagesPendingBytesMax',
      { pendingBytes: LIMITS.messagesPendingBytesMax - 10 },
      { pendingBytes: LIMITS.messagesPendingBytesMax - 9 },
    ],
    ['messagesMax', { messages: numbered(LIMITS.messagesMax - 1) }, { messages: numbered(LIMITS.messagesMax) }],
  ])('is one too many beyond %s', (limit, just, beyond) => {
    expect(judge(just)).toEqual({ verdict: 'new' });
    expect(judge(beyond)).toEqual({ verdict: 'refuse', code: 'limit_exceeded', limit });
  });
});
