import { type Cursor, CURSOR_START, LIMITS, type SidecarFrame } from '@outrigger/protocol';
import { type AgentUnderTest, type ConformanceCheck, demand, Skipped } from '../check.js';
import { type WireClient } from '../client.js';
import { type SampleRun } from '../sample-run.js';

const section = '7. Delivery';
type OutputFrame = SidecarFrame<'output' | 'stderr' | 'gap'>;

const logOf = (frame: OutputFrame) =>
  frame.type === 'gap' ? frame.log : frame.type === 'output' ? 'stdout' : 'stderr';

/** What a subscription has sent so far. */
function sentTo(client: WireClient, subscription: string): OutputFrame[] {
  return client.frames.filter((frame): frame is OutputFrame => {
    const isOutput = frame.type === 'output' || frame.type === 'stderr' || frame.type === 'gap';
    return isOutput && frame.subscription === subscription;
  });
}

/** Where a reader of these frames is, each of which has to go on where the one before it ended. @throws Violation */
function follow(frames: readonly OutputFrame[], from: Cursor): Cursor {
  let at = from;
  for (const frame of frames) {
    demand(frame.attempt >= at.attempt, `output of attempt ${frame.attempt} came after that of attempt ${at.attempt}`);
    if (frame.attempt > at.attempt) at = { attempt: frame.attempt, stdout: 0, stderr: 0 };
    const log = logOf(frame);
    demand(frame.start === at[log], `${log} goes on at ${frame.start}, where ${at[log]} was due`);
    at = { ...at, [log]: frame.end };
  }
  return at;
}

const hasReached = (at: Cursor, end: Cursor) =>
  at.attempt === end.attempt && at.stdout >= end.stdout && at.stderr >= end.stderr;

/** Resolves when a subscription has sent everything. @throws Violation when it leaves out, repeats or goes on too far */
async function readToEnd(client: WireClient, subscription: string, { from, end }: { from: Cursor; end: Cursor }) {
  await client.until(`the output up to ${JSON.stringify(end)}`, () =>
    hasReached(follow(sentTo(client, subscription), from), end),
  );
  const at = follow(sentTo(client, subscription), from);
  demand(at.stdout === end.stdout && at.stderr === end.stderr, 'output went on behind the end of the execution');
  return sentTo(client, subscription);
}

/** The sample and where it ends. @throws Skipped when it printed nothing on stdout in its last attempt */
async function printedSample(agent: AgentUnderTest): Promise<SampleRun & { end: Cursor }> {
  const sample = await agent.sampleRun();
  const { end } = sample.frame;
  if (end.stdout === 0) throw new Skipped(`the run printed nothing; it ended ${sample.frame.outcome.reason}`);
  return { ...sample, end };
}

const everything = { from: CURSOR_START, creditBytes: LIMITS.creditBytesMax };

/** How output is delivered. */
export const outputChecks: readonly ConformanceCheck[] = [
  {
    id: 'output.complete',
    demand:
      'A subscription sends each log from its cursor to the end of the execution, in order, without gap or repetition.',
    section,
    run: async (agent) => {
      const { executionId, end } = await printedSample(agent);
      const client = await agent.connect();
      await client.request('subscribe', { subscription: 'all', executionId, ...everything });
      await readToEnd(client, 'all', { from: CURSOR_START, end });
    },
  },
  {
    id: 'output.credit',
    demand: 'Nothing is sent without credit, and an overdraft comes off the next one.',
    section,
    run: async (agent) => {
      const { executionId, end } = await printedSample(agent);
      const client = await agent.connect();
      await client.request('subscribe', { subscription: 'none', executionId, from: CURSOR_START, creditBytes: 0 });
      // Once another subscription has everything, this one would have had the time to send something as well.
      await client.request('subscribe', { subscription: 'all', executionId, ...everything });
      await readToEnd(client, 'all', { from: CURSOR_START, end });
      demand(sentTo(client, 'none').length === 0, 'output was sent to a subscription that never had credit');
      await client.request('credit', { subscription: 'none', bytes: 1 });
      await client.until('a frame for one byte of credit', () => sentTo(client, 'none').length > 0);
      const [first] = sentTo(client, 'none');
      if (first === undefined || first.end - first.start < 3) throw new Skipped('the first frame overdraws nothing');
      const { creditBytes } = await client.request('credit', { subscription: 'none', bytes: 1 });
      demand(creditBytes === 0, `a credit of 1 byte left ${creditBytes}, with an overdraft to be paid back`);
      demand(sentTo(client, 'none').length === 1, 'more than a frame was sent for one byte of credit');
    },
  },
  {
    id: 'output.cursor',
    demand: 'A new connection whose hello names a cursor goes on at that very byte, up to the same end.',
    section,
    run: async (agent) => {
      const { executionId, end } = await printedSample(agent);
      const before = await agent.connect();
      await before.request('subscribe', { subscription: 'all', executionId, ...everything });
      const frames = await readToEnd(before, 'all', { from: CURSOR_START, end });
      const read = frames.filter((frame) => frame.type === 'output' && frame.attempt === end.attempt);
      const lines = (read as SidecarFrame<'output'>[]).flatMap(({ lines, ends }) =>
        lines.map((line, n) => ({ line, end: ends[n] ?? 0 })),
      );
      const [first, ...rest] = lines;
      if (first === undefined || rest.length === 0) throw new Skipped('the run printed a single line');
      const from = { attempt: end.attempt, stdout: first.end, stderr: end.stderr };
      const cursor = { subscription: 'rest', executionId, from, creditBytes: LIMITS.creditBytesMax };
      const after = await agent.connect({ cursors: [cursor] });
      const welcome = await after.waitFor('welcome', 'a welcome');
      demand(welcome.refused.length === 0, `the cursor was refused: ${JSON.stringify(welcome.refused)}`);
      const again = await readToEnd(after, 'rest', { from, end });
      const text = again.flatMap((frame) => (frame.type === 'gap' ? [] : frame.lines)).join('\n');
      demand(
        text === rest.map(({ line }) => line).join('\n'),
        'the lines behind the cursor are other ones than before',
      );
    },
  },
  {
    id: 'output.cursor-outside',
    demand:
      'A cursor behind what there is is refused with invalid; in a hello it is named in welcome.refused, and costs nothing else.',
    section: '4. Frames of the client',
    run: async (agent) => {
      const { executionId, end } = await printedSample(agent);
      const from = { ...end, stdout: end.stdout + 1 };
      const cursor = { subscription: 'outside', executionId, from, creditBytes: 0 };
      const client = await agent.connect({ cursors: [cursor] });
      const { refused } = await client.waitFor('welcome', 'a welcome');
      const isNamed = refused.length === 1 && refused[0]?.subscription === 'outside' && refused[0].code === 'invalid';
      demand(isNamed, `welcome.refused is ${JSON.stringify(refused)}`);
      await client.refused('invalid', 'subscribe', cursor);
    },
  },
];
