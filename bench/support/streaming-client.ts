/**
 * Asks for streams over connections that are kept, to be forked: it takes one {@link Job} at a time and sends a
 * {@link Measured} for each.
 */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Job {
  readonly url: string;
  readonly secret: string;
  /** How many streams are open at a time. */
  readonly streams: number;
  /** How many are measured, one after the other, in each place, after one that opens its connections. */
  readonly each: number;
  /** Spreads the beginnings over this long, so that not all ask in the same moment. */
  readonly spreadMs: number;
  /** What the streaming API is asked for. */
  readonly ask: Readonly<Record<string, string>>;
}

/** A stream: milliseconds from the request to the first byte of the body, from there to the end, and its size. */
export type Measured = readonly { readonly firstByteMs: number; readonly restMs: number; readonly bytes: number }[];

const REQUEST_BYTES = 100_000;
const BODY = JSON.stringify({
  model: 'claude-sonnet-5-5',
  stream: true,
  messages: [{ role: 'user', content: 'x'.repeat(REQUEST_BYTES) }],
});

const agents = new Map<string, Agent>();

process.on('message', (job: Job) => void run(job).then((measured) => process.send?.(measured)));
process.on('disconnect', () => process.exit());

async function run(job: Job): Promise<Measured> {
  const places = Array.from({ length: job.streams }, async (_, place) => {
    await sleep((job.spreadMs * place) / job.streams);
    await stream(job);
    const measured: Measured[number][] = [];
    for (let i = 0; i < job.each; i++) measured.push(await stream(job));
    return measured;
  });
  return (await Promise.all(places)).flat();
}

async function stream({ url, secret, ask }: Job): Promise<Measured[number]> {
  const agent = agents.get(url) ?? new Agent({ keepAlive: true });
  agents.set(url, agent);
  const startedAt = performance.now();
  const sending = request(`${url}/v1/messages?beta=true`, {
    agent,
    method: 'POST',
    headers: {
      authorization: `Bearer ${secret}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(BODY),
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'oauth-2025-04-20,interleaved-thinking-2025-05-14',
      ...ask,
    },
  });
  sending.end(BODY);
  const [response] = (await once(sending, 'response')) as [IncomingMessage];
  let firstByteAt: number | undefined;
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    firstByteAt ??= performance.now();
    bytes += chunk.length;
  });
  await once(response, 'end');
  if (response.statusCode !== 200 || firstByteAt === undefined) throw new Error(`status ${response.statusCode ?? 0}`);
  return { firstByteMs: firstByteAt - startedAt, restMs: performance.now() - firstByteAt, bytes };
}
