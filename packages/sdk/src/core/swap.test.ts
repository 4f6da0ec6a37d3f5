import { WireError } from '@outrigger/protocol';
import { expect, it } from 'vitest';
import { generationOfOwnSwap } from './swap.js';

const stale = new WireError('stale_generation', 'generation 2 is in force', { generation: 2 });
const refused = {
  error: stale,
  credentialId: 'team-b',
  timesSent: 2,
  inForce: { generation: 2, credentialId: 'team-b' },
};

it('a swap that was applied, and refused as stale when it was sent again, is done', () => {
  expect(generationOfOwnSwap(refused)).toBe(2);
});

it.each([
  ['C19: another host was faster with another credential', { inForce: { generation: 3, credentialId: 'team-c' } }],
  ['it was sent once, so what is in force is not its work', { timesSent: 1 }],
  ['the refusal is another one', { error: new WireError('invalid', 'no') }],
  ['nothing is in force', { inForce: { generation: null, credentialId: null } }],
])('a swap is not done when %s', (_why, difference) => {
  expect(generationOfOwnSwap({ ...refused, ...difference })).toBeNull();
});
