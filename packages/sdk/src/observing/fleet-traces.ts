import { type Span, type Tracer } from '@opentelemetry/api';
import { type Dispatched } from '../events.js';
import { type Fleet } from '../fleet.js';
import { addStep, attributesOf, endRefused, endWith, SPAN_NAME } from './execution-span.js';
import { Listening } from './listening.js';

export interface TraceFleetOptions {
  /** E.g. `trace.getTracer('my-backend')`. */
  tracer: Tracer;
}

/** The traces of a fleet. */
export interface FleetTraces {
  /** Traces no more, and ends the spans that are open. */
  close(): void;
}

/**
 * Makes a span for each execution that this host dispatches, from the dispatch to the outcome as it is heard here, with an event
 * for each state, attempt, hold and release. It is a child of whatever span is active where `dispatch` is called. A dispatch
 * that is refused is a span of its own; one that is repeated while its span is open adds to that. What was dispatched by
 * another host, or before a restart, has no span. `docs/metrics.md` names the attributes; none holds a prompt or an answer.
 */
export function traceFleet(fleet: Fleet, { tracer }: TraceFleetOptions): FleetTraces {
  const listening = new Listening(fleet);
  const spans = new Map<string, Span>();
  const finish = (executionId: string, span: Span, end: (span: Span) => void) => {
    if (spans.get(executionId) === span) spans.delete(executionId);
    if (span.isRecording()) end(span);
  };

  listening.on('dispatching', (event) => {
    if (spans.has(event.executionId)) return;
    const attributes = attributesOf(event);
    spans.set(event.executionId, tracer.startSpan(SPAN_NAME, { startTime: event.at, attributes }));
  });
  listening.on('dispatched', ({ executionId, execution, error }: Dispatched) => {
    const span = spans.get(executionId);
    if (span === undefined) return;
    if (execution === undefined) {
      finish(executionId, span, () => endRefused(span, error));
      return;
    }
    execution.outcome.then(
      (outcome) => finish(executionId, span, () => endWith(span, outcome)),
      // The fleet is closed: nobody hears how it ended.
      (closed: unknown) => finish(executionId, span, () => endRefused(span, closed)),
    );
  });
  listening.on('executionStep', (step) => {
    const span = spans.get(step.executionId);
    if (span !== undefined) addStep(span, step);
  });
  return {
    close: () => {
      listening.stop();
      for (const span of spans.values()) span.end();
      spans.clear();
    },
  };
}
