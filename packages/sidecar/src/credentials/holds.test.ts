import { decodeSidecarFrame, encodeFrame, LIMITS } from '@outrigger/protocol';
import { describe, expect, it } from 'vitest';
import { type DetailedRefusal, Holds, NO_CREDENTIAL } from './holds.js';
import { type CredentialInForce, CredentialSlot } from './slot.js';

const EXPIRED: DetailedRefusal = {
  generation: 1,
  reason: 'auth_expired',
  message: 'it has expired',
  scope: 'credential',
};
const LIMITED: DetailedRefusal = {
  generation: 1,
  reason: 'rate_limited',
  message: 'used up',
  retryAt: 1_800_000_000_000,
  window: 'five_hour',
  scope: 'credential',
};
const forModel = (model?: string): DetailedRefusal => ({ ...LIMITED, scope: 'model', model });

function waitingRoom(standing: 'with a credential' | 'without' = 'with a credential') {
  const slot = new CredentialSlot(standing === 'without' ? null : { id: 'a', kind: 'oauth', secret: 'secret-a' });
  const needed: ReturnType<Holds['pending']> = [];
  const holds = new Holds(slot, (notice) => needed.push(notice));
  const released: { executionId: string; current: CredentialInForce }[] = [];
  const enter = (executionId: string, refusal = EXPIRED) =>
    holds.enter({ executionId, refusal, onRelease: (current) => released.push({ executionId, current }) });
  const swap = (name: string) => slot.swap({ id: name, kind: 'oauth', secret: `secret-${name}` });
  return { slot, holds, needed, released, enter, swap };
}

describe('hosts are told that a credential is needed', () => {
  it('with everything that is known of it', () => {
    const { enter, needed } = waitingRoom();
    enter('one', { ...LIMITED, model: 'm' });
    expect(needed).toEqual([
      {
        type: 'credential_needed',
        at: expect.any(Number) as number,
        generation: 1,
        credentialId: 'a',
        reason: 'rate_limited',
        message: 'used up',
        retryAt: 1_800_000_000_000,
        window: 'five_hour',
        scope: 'credential',
        model: 'm',
        executions: ['one'],
      },
    ]);
    expect(needed.map((notice) => decodeSidecarFrame(encodeFrame(notice)))).toMatchObject([{ ok: true }]);
  });

  it('with no more than that', () => {
    const { enter, needed } = waitingRoom('without');
    enter('one', NO_CREDENTIAL);
    expect(needed).toEqual([
      {
        type: 'credential_needed',
        at: expect.any(Number) as number,
        generation: null,
        credentialId: null,
        reason: 'credential_missing',
        message: 'the agent has no credential',
        scope: 'credential',
        executions: ['one'],
      },
    ]);
    expect(needed.map((notice) => decodeSidecarFrame(encodeFrame(notice)))).toMatchObject([{ ok: true }]);
  });

  it.each<[string, DetailedRefusal[], number]>([
    ['the same refusal', [EXPIRED, EXPIRED, { ...EXPIRED, message: 'in other words' }], 1],
    ['refusals of two kinds', [EXPIRED, LIMITED, EXPIRED, LIMITED], 2],
    ['refusals of two generations', [EXPIRED, { ...EXPIRED, generation: 2 }], 2],
    [
      'a limit of the credential for two models',
      [
        { ...LIMITED, model: 'a' },
        { ...LIMITED, model: 'b' },
      ],
      1,
    ],
    ['limits of two models', [forModel('a'), forModel('b'), forModel('a')], 2],
    ['a limit of one model and one of all', [forModel('a'), { ...LIMITED, model: 'a' }], 2],
    ['a limit of a model that is not known', [forModel(), forModel()], 1],
    ['none and one that is refused', [NO_CREDENTIAL, { ...NO_CREDENTIAL, generation: 1 }], 2],
  ])('C11: once for each generation and reason: %s', (_which, refusals, count) => {
    const { enter, needed } = waitingRoom();
    refusals.forEach((refusal, index) => enter(`${index}`, refusal));
    expect(needed).toHaveLength(count);
  });

  it('C11: again when the next one is refused as well', () => {
    const { enter, swap, needed, released } = waitingRoom();
    enter('one');
    swap('b');
    enter('one', { ...EXPIRED, generation: 2 });
    expect(needed.map(({ generation, credentialId }) => [generation, credentialId])).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
    expect(released).toHaveLength(1);
  });
});

describe('a host that has just come is told', () => {
  it('of every need, and who waits for it now', () => {
    const { enter, holds } = waitingRoom();
    const leave = enter('one');
    enter('two');
    enter('two');
    enter('three', LIMITED);
    expect(holds.pending().map(({ reason, executions }) => [reason, executions])).toEqual([
      ['auth_expired', ['one', 'two']],
      ['rate_limited', ['three']],
    ]);
    leave();
    expect(holds.pending()[0]?.executions).toEqual(['two']);
    expect(holds.size).toBe(3);
  });

  it('of no need that nobody has any longer, and of it again once somebody has', () => {
    const { enter, holds, needed } = waitingRoom();
    enter('one')();
    expect(holds.pending()).toEqual([]);
    expect(holds.size).toBe(0);
    enter('two');
    expect(holds.pending()).toMatchObject([{ reason: 'auth_expired', executions: ['two'] }]);
    expect(needed).toHaveLength(1);
  });

  it('of so many executions and no more', () => {
    const { enter, holds } = waitingRoom();
    for (let n = 0; n <= LIMITS.executionsNamedMax; n++) enter(`run-${n}`);
    const [notice] = holds.pending();
    expect(notice?.executions).toHaveLength(LIMITS.executionsNamedMax);
    expect(holds.size).toBe(LIMITS.executionsNamedMax + 1);
  });
});

describe('a new credential', () => {
  it('releases each that waits, once, with what is in force', () => {
    const { enter, swap, released, holds } = waitingRoom();
    enter('one');
    enter('one');
    enter('two', LIMITED);
    enter('gone')();
    swap('b');
    swap('c');
    const current = { credential: { id: 'b', kind: 'oauth', secret: 'secret-b' }, generation: 2 };
    expect(released).toEqual(['one', 'one', 'two'].map((executionId) => ({ executionId, current })));
    expect(holds.size).toBe(0);
    expect(holds.pending()).toEqual([]);
  });

  it('releases nobody where it is the same as before', () => {
    const { enter, swap, released, holds } = waitingRoom();
    enter('one');
    swap('a');
    expect(released).toEqual([]);
    expect(holds.size).toBe(1);
  });

  it('does not release who comes back at once because it was refused as well', () => {
    const { slot, holds, swap, needed } = waitingRoom();
    const releases: number[] = [];
    const waitAgain = (generation: number) => {
      holds.enter({
        executionId: 'one',
        refusal: { ...EXPIRED, generation },
        onRelease: (current) => {
          releases.push(current.generation);
          waitAgain(current.generation);
        },
      });
    };
    waitAgain(1);
    swap('b');
    expect(releases).toEqual([2]);
    expect(holds.size).toBe(1);
    expect(needed.map(({ generation }) => generation)).toEqual([1, 2]);
    expect(slot.generation).toBe(2);
  });

  it('is nothing to who has left since, more than once even', () => {
    const { enter, swap, released } = waitingRoom();
    const leave = enter('one');
    leave();
    leave();
    swap('b');
    leave();
    expect(released).toEqual([]);
  });
});
