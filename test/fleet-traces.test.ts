import { AsyncLocalStorage } from 'node:async_hooks';
import { type Context, context, type ContextManager, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { createFleet, type Fleet } from '@outrigger/sdk';
import { traceFleet } from '@outrigger/sdk/otel';
import { refusal } from '@outrigger/sdk/testing';
import { expect, it, onTestFinished } from 'vitest';
import { connectFleet, script } from './support/fleet.js';
import { ask, openWay, startGateway, TOKEN_A, TOKEN_B } from './support/gateway.js';
import { hanging } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';

const [UNSET, OK, ERROR] = [0, 1, 2];

function traced(fleet: Fleet) {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const tracer = provider.getTracer('test');
  const traces = traceFleet(fleet, { tracer });
  const ended = async (count: number): Promise<ReadableSpan[]> => {
    await expect.poll(() => exporter.getFinishedSpans()).toHaveLength(count);
    return exporter.getFinishedSpans();
  };
  return { tracer, traces, ended };
}

const eventsOf = ({ events }: ReadableSpan) => events.map(({ name }) => name);

it('an execution is a span from its dispatch to its outcome, with its hold and what was decided', async () => {
  await using gateway = await startGateway();
  const { ended } = traced(gateway.fleet);
  const way = await openWay(gateway);
  gateway.api.refuse(TOKEN_A, refusal.expired());
  const held = ask(way);
  await gateway.needed.waitFor();
  await gateway.agent.swapCredential(TOKEN_B);
  expect((await held).status).toBe(200);
  await way.execution.cancel();
  const outcome = await way.execution.outcome;
  const [span] = (await ended(1)) as [ReadableSpan];
  expect(span.name).toBe('outrigger.execution');
  expect(eventsOf(span).filter((name) => name !== 'starting')).toEqual(['running', 'hold', 'released', 'decided']);
  expect(span.events.find(({ name }) => name === 'hold')?.attributes).toEqual({
    ...{ 'outrigger.attempt': 1, 'outrigger.reason': 'auth_expired' },
  });
  expect(span.attributes).toMatchObject({
    'outrigger.agent.id': gateway.agent.id,
    'outrigger.execution.id': way.execution.id,
    'outrigger.status': 'cancelled',
    'outrigger.reason': 'requested',
    'outrigger.held_ms': outcome.heldMs,
    'outrigger.credential.id': 'token-b',
    'outrigger.credential.generation': 2,
  });
  expect(span.status).toEqual({ code: UNSET });
  expect(JSON.stringify([span.attributes, span.events])).not.toMatch(/sk-ant|fake_env/);
});

it('succeeded, failed and refused are told by the status of the span', async () => {
  await using sidecar = await startSidecar({ maxExecutions: 1 });
  await using host = await connectFleet(sidecar);
  const { ended } = traced(host.fleet);
  const run = async (...steps: Parameters<typeof script>) =>
    (await host.agent.dispatch({ prompt: script(...steps) })).outcome;
  await run({ do: 'init' }, { do: 'result' });
  await run({ do: 'exit', code: 1 });
  const blocking = await host.agent.dispatch({ prompt: script(...hanging) });
  await expect(host.fleet.dispatch({ prompt: 'x' })).rejects.toMatchObject({ code: 'no_place' });
  const spans = await ended(3);
  expect(spans.map(({ status }) => status)).toEqual([
    { code: OK },
    { code: ERROR, message: 'crashed' },
    { code: ERROR, message: 'at_capacity' },
  ]);
  expect(spans[2]?.attributes['outrigger.error.code']).toBe('at_capacity');
  await host.fleet.close();
  const [, , , closed] = await ended(4);
  expect(closed?.attributes).toMatchObject({
    'outrigger.execution.id': blocking.id,
    'outrigger.error.code': 'fleet_closed',
  });
});

it('a span is a child of the one that is active where it is dispatched', async () => {
  await using sidecar = await startSidecar();
  await using host = await connectFleet(sidecar);
  const { ended, tracer } = traced(host.fleet);
  const storage = new AsyncLocalStorage<Context>();
  context.setGlobalContextManager(contextsIn(storage));
  onTestFinished(() => context.disable());
  const request = tracer.startSpan('a request to the backend');
  await context.with(trace.setSpan(ROOT_CONTEXT, request), async () => {
    const execution = await host.fleet.dispatch({ prompt: script({ do: 'init' }, { do: 'result' }) });
    await execution.outcome;
  });
  const [span] = await ended(1);
  expect(span?.parentSpanContext?.spanId).toBe(request.spanContext().spanId);
});

it('nothing is traced any more once that was closed, and open spans are ended', async () => {
  await using sidecar = await startSidecar();
  await using fleet = createFleet();
  const { traces, ended } = traced(fleet);
  const agent = await fleet.connect(sidecar);
  await agent.dispatch({ prompt: script(...hanging) });
  traces.close();
  expect(await ended(1)).toHaveLength(1);
  expect(fleet.eventNames()).toEqual([]);
});

/** What a backend has from `@opentelemetry/context-async-hooks`. */
function contextsIn(storage: AsyncLocalStorage<Context>): ContextManager {
  const manager: ContextManager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, run, self, ...args) => storage.run(active, () => run.apply(self, args)),
    bind: (_context, target) => target,
    enable: () => manager,
    disable: () => manager,
  };
  return manager;
}
