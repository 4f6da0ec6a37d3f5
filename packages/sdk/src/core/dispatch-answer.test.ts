import { OutriggerError, WireError } from '@outrigger/protocol';
import { expect, it } from 'vitest';
import { sdkError } from '../errors.js';
import { dispatchAnswer } from './dispatch-answer.js';

it('the answer to a dispatch is one word of a small set, whatever went wrong', () => {
  expect(dispatchAnswer({ known: false, state: 'starting' })).toBe('accepted');
  expect(dispatchAnswer({ known: false, state: 'queued' })).toBe('queued');
  expect(dispatchAnswer({ known: false })).toBe('accepted');
  expect(dispatchAnswer({ known: true, state: 'queued' })).toBe('known');
  const failed = (error: unknown) => dispatchAnswer({ known: false, error });
  expect(failed(new WireError('draining', 'x'))).toBe('draining');
  expect(failed(sdkError('limit_reached', 'x'))).toBe('limit_reached');
  expect(failed(new OutriggerError('of tomorrow', 'x'))).toBe('failed');
  expect(failed(new OutriggerError('toString', 'x'))).toBe('failed');
  expect(failed('thrown')).toBe('failed');
});
