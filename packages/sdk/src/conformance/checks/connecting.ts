import { SUBPROTOCOL } from '@outrigger/protocol';
import { type ConformanceCheck, demand, show } from '../check.js';
import { type Upgrade } from '../upgrade.js';

const section = '2. Connecting';

/** A check that an upgrade is refused with a status and a code. */
function refusal(id: string, what: string, upgrade: Upgrade, status: number, code: string): ConformanceCheck {
  return {
    id: `upgrade.${id}`,
    demand: `An upgrade with ${what} is answered ${status} with the code ${code}.`,
    section,
    run: async (agent) => {
      const result = await agent.tryUpgrade(upgrade);
      demand(!('accepted' in result), `an upgrade with ${what} was accepted`);
      const isRight = result.status === status && result.code === code;
      demand(isRight, `an upgrade with ${what} was answered ${result.status} with the code ${show(result.code)}`);
      const scheme = result.wwwAuthenticate;
      demand(status !== 401 || scheme === 'Bearer', `the 401 has WWW-Authenticate ${show(scheme)}, not Bearer`);
    },
  };
}

/** How a connection begins. */
export const connectingChecks: readonly ConformanceCheck[] = [
  {
    id: 'upgrade.accepted',
    demand: `An upgrade with the right token is accepted, ${SUBPROTOCOL} is chosen among others, and nothing is compressed.`,
    section,
    run: async (agent) => {
      const client = await agent.open({ subprotocols: ['conformance.v9', SUBPROTOCOL] });
      demand(client.subprotocol === SUBPROTOCOL, `the subprotocol ${show(client.subprotocol)} was chosen`);
      demand(client.extensions === '', `an extension was negotiated: ${client.extensions}`);
    },
  },
  refusal('token-missing', 'no token', { token: null }, 401, 'unauthorized'),
  refusal('token-wrong', 'a wrong token', { token: 'conformance-wrong-token' }, 401, 'unauthorized'),
  refusal('token-in-url', 'a token in its URL', { path: '/?token=conformance' }, 400, 'token_in_url'),
  refusal('path', 'another path', { path: '/conformance' }, 404, 'not_found'),
  refusal('origin', 'an Origin', { headers: { origin: 'https://conformance.invalid' } }, 403, 'origin_refused'),
  refusal('subprotocol', 'another subprotocol', { subprotocols: ['conformance.v9'] }, 400, 'wrong_subprotocol'),
  {
    id: 'hello.welcome',
    demand: 'A hello is answered by one welcome in a version it offers, and then a snapshot whose last page says so.',
    section,
    run: async (agent) => {
      const client = await agent.connect({ versions: [999, 1] });
      const [first, ...rest] = client.frames;
      demand(first?.type === 'welcome' && first.version === 1, `hello was answered by ${show(first)}`);
      demand(!rest.some(({ type }) => type === 'welcome'), 'welcome came twice');
      const early = rest.slice(
        0,
        rest.findIndex((frame) => frame.type === 'snapshot' && !frame.more),
      );
      const odd = early.find(({ type }) => type !== 'snapshot');
      demand(odd === undefined, `before the last page of the snapshot came ${show(odd)}`);
    },
  },
  {
    id: 'hello.version',
    demand:
      'A hello that offers no version spoken here is answered by an error unsupported_version and a close with 4406.',
    section,
    run: async (agent) => {
      const client = await agent.open();
      client.send({ type: 'hello', versions: [999], client: { name: 'outrigger-conformance' } });
      await client.isClosed(4406, 'unsupported_version');
    },
  },
  {
    id: 'hello.first',
    demand: 'A request before hello is answered by an error and a close with 4400.',
    section,
    run: async (agent) => {
      const client = await agent.open();
      client.send({ type: 'status', id: '1' });
      await client.isClosed(4400, 'invalid');
    },
  },
  {
    id: 'liveness.pong',
    demand: 'A ping is answered by a pong.',
    section,
    run: async (agent) => (await agent.connect()).pong(),
  },
];
