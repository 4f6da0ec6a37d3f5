import { inspect } from 'node:util';
import { type OutriggerError } from '@outrigger/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { sdkError } from '../errors.js';
import { Requests } from './requests.js';

const SECRET = 'sk-ant-oat01-never-to-be-seen';
const credential = { id: 'team-a', kind: 'oauth' as const, secret: SECRET };

const requests = new Requests(60_000);
afterEach(() => requests.close(sdkError('fleet_closed', 'the test is over')));

/** Everything that a careless log could show. */
const allOf = (value: unknown) => inspect(value, { depth: null, showHidden: true, getters: true });

describe('a credential', () => {
  const cyclic: Record<string, unknown> = { ...credential };
  cyclic['self'] = cyclic;

  it.each<[string, unknown]>([
    ['with a line end in its secret', { ...credential, secret: `${SECRET}\n${SECRET}` }],
    ['with an endless secret', { ...credential, secret: SECRET.repeat(1000) }],
    ['of a kind that there is not', { ...credential, kind: SECRET }],
    ['whose name is its secret', { ...credential, id: `${SECRET} ` }],
    ['with a field too many', { ...credential, token: SECRET }],
    ['with a time that is none', { ...credential, expiresAt: SECRET }],
    ['that is its secret alone', SECRET],
    ['that cannot be written', cyclic],
  ])('%s is refused before it is sent, and the error does not show it', (_what, wrong) => {
    let error: unknown;
    try {
      requests.prepare('swap_credential', { credential: wrong as typeof credential });
    } catch (thrown) {
      error = thrown;
    }
    expect((error as OutriggerError).code).toBe('invalid');
    expect(allOf(error)).not.toContain(SECRET);
  });

  it('is seen neither in what waits for an answer nor in what comes of it', async () => {
    const request = requests.prepare('swap_credential', { credential, ifGeneration: 1 });
    expect(request.text).toContain(SECRET);
    const answer = requests.add(request, { isResent: true });
    expect(allOf(requests)).not.toContain(SECRET);
    requests.connectionLost(sdkError('agent_unreachable', 'lost'));
    expect(requests.unanswered()).toEqual([request]);
    requests.answer({ type: 'reply', id: request.id, ok: true, result: { generation: 'two' } });
    const error = await answer.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'protocol_error' });
    expect(allOf(error)).not.toContain(SECRET);
  });
});
