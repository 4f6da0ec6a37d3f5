import { demand, show, type ConformanceCheck } from '../check.js';

const section = '3. Frames in general';

/** How requests are answered, good ones and bad ones. */
export const frameChecks: readonly ConformanceCheck[] = [
  {
    id: 'frames.malformed',
    demand: 'A message that is no JSON object is answered by an error invalid and a close with 4400.',
    section,
    run: async (agent) => {
      const client = await agent.connect();
      client.send('{"type": "status", ');
      await client.isClosed(4400, 'invalid');
    },
  },
  {
    id: 'frames.binary',
    demand: 'A binary message is answered by an error invalid and a close with 4400.',
    section,
    run: async (agent) => {
      const client = await agent.connect();
      client.send(Buffer.from('{"type": "status", "id": "1"}'));
      await client.isClosed(4400, 'invalid');
    },
  },
  {
    id: 'frames.unknown-type',
    demand:
      'A request of an unknown type that has an id is answered by a reply unknown_type, and the connection goes on.',
    section,
    run: async (agent) => {
      const client = await agent.connect();
      await client.refused('unknown_type', 'conformance');
      await client.request('status', {});
    },
  },
  {
    id: 'frames.strict',
    demand: 'A request with a field that is not in the tables is answered by a reply invalid, and nothing is done.',
    section,
    run: async (agent) => {
      const client = await agent.connect();
      const executionId = agent.newId();
      const request = { prompt: 'This must not run.', timeoutMS: 1 };
      await client.refused('invalid', 'dispatch', { executionId, request });
      await client.refused('unknown_execution', 'status', { executionId });
    },
  },
  {
    id: 'frames.order',
    demand: 'Requests are answered in the order of their arrival, each once and under its own id.',
    section,
    run: async (agent) => {
      const client = await agent.connect();
      const ids = Array.from({ length: 20 }, (_, n) => `order-${n}`);
      for (const id of ids) client.send({ type: 'status', id });
      const replies = () => client.frames.flatMap((frame) => (frame.type === 'reply' ? [frame.id] : []));
      await client.until(`${ids.length} replies`, () => replies().length >= ids.length);
      demand(replies().join() === ids.join(), `they were answered in the order ${show(replies())}`);
    },
  },
];
