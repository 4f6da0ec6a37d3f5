import { OutriggerError } from '@outrigger/protocol';
import { describe as group, expect, it } from 'vitest';
import { describe, inFlags } from './wording.js';

group('what went wrong', () => {
  it.each([
    ['use wss:, or `insecure: true` on', 'use wss:, or --insecure on'],
    ['or ask for whenBusy: "skip"', 'or ask for --when-busy skip'],
    ['`timeoutMs` passed.', '--timeout passed.'],
    ['No sign of life for `idleTimeoutMs`.', 'No sign of life for --idle-timeout.'],
    ['dispatch: request.onCredentialFailure: "hold" needs', 'dispatch: --on-credential-failure hold needs'],
    ['what `claude` says of `insecure` and timeouts', 'what `claude` says of `insecure` and timeouts'],
  ])('is said in flags: %s', (text, expected) => {
    expect(inFlags(text)).toBe(expected);
  });

  it('begins with its code, once, on one line', () => {
    expect(describe(new OutriggerError('disk_low', 'too\n little'))).toBe('disk_low: too little');
    expect(describe(new OutriggerError('disk_low', 'disk_low: too little'))).toBe('disk_low: too little');
    expect(describe(new Error('without one'))).toBe('without one');
  });

  it('names where the token came from that was refused, and when to try again', () => {
    const tokenFrom = 'OUTRIGGER_TOKEN';
    const refused = new OutriggerError('unauthorized', 'refused');
    expect(describe(refused, { tokenFrom })).toBe('unauthorized: refused; the token came from OUTRIGGER_TOKEN');
    const open = new OutriggerError('circuit_open', 'no', { data: { retryAt: 0 } });
    expect(describe(open, { tokenFrom })).toBe('circuit_open: no; try again at 1970-01-01T00:00:00.000Z');
  });

  it('knows of no store', () => {
    const unknown = new OutriggerError('unknown_execution', 'neither store nor agent', { data: { executionId: 'x' } });
    expect(describe(unknown)).toMatch(/^unknown_execution: no agent that was reached knows x; /);
  });
});
