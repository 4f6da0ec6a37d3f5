import { type Outcome, OutriggerError } from '@outrigger/protocol';
import { type Attributes, type Span, SpanStatusCode } from '@opentelemetry/api';
import { type Dispatching, type FleetEvents } from '../events.js';

export const SPAN_NAME = 'outrigger.execution';

/** A failure of the run or of what it needs; what was cancelled or not even started is as somebody wanted it. */
const FAILED: readonly Outcome['status'][] = ['failed', 'timed_out', 'lost'];

/** What is known when a dispatch begins. */
export function attributesOf({ agentId, executionId }: Dispatching): Attributes {
  return { 'outrigger.agent.id': agentId, 'outrigger.execution.id': executionId };
}

/** Notes a step of the execution. Times are the agent's, as everything else that is told of it. */
export function addStep(span: Span, { event }: FleetEvents['executionStep'][0]): void {
  const { at, attempt } = event;
  const attributes: Attributes = { 'outrigger.attempt': attempt };
  switch (event.type) {
    case 'hold':
      span.addEvent('hold', { ...attributes, 'outrigger.reason': event.reason }, at);
      break;
    case 'released':
      if (event.generation !== undefined) attributes['outrigger.credential.generation'] = event.generation;
      span.addEvent('released', attributes, at);
      break;
    case 'state':
      // That is the end of the span itself.
      if (event.state === 'ended') break;
      if (event.verdict !== undefined) {
        const { status, reason } = event.verdict;
        const verdict = { 'outrigger.status': status, 'outrigger.reason': reason };
        span.addEvent('decided', { ...attributes, ...verdict }, event.verdict.at);
      } else span.addEvent(event.state, attributes, at);
  }
}

/** The dispatch was refused, or has failed: nothing more is to come. */
export function endRefused(span: Span, error: unknown): void {
  const code = error instanceof OutriggerError ? error.code : 'failed';
  span.setAttribute('outrigger.error.code', code);
  span.setStatus({ code: SpanStatusCode.ERROR, message: code });
  span.end();
}

/** The execution has ended. What it printed is in no span, and its message may quote it. */
export function endWith(span: Span, outcome: Outcome): void {
  const { status, reason, retryable, attempts, heldMs, turns, costUsd, model, survivors, credential } = outcome;
  const told: Record<string, Attributes[string] | null> = {
    'outrigger.status': status,
    'outrigger.reason': reason,
    'outrigger.retryable': retryable,
    'outrigger.attempts': attempts,
    'outrigger.held_ms': heldMs,
    'outrigger.turns': turns,
    'outrigger.cost_usd': costUsd,
    'outrigger.model': model,
    'outrigger.survivors': survivors,
    'outrigger.credential.id': credential?.id,
    'outrigger.credential.generation': credential?.generation,
    'outrigger.corrected': outcome.corrected,
  };
  for (const [name, value] of Object.entries(told)) if (value != null) span.setAttribute(name, value);
  if (FAILED.includes(status)) span.setStatus({ code: SpanStatusCode.ERROR, message: reason });
  else if (status === 'succeeded') span.setStatus({ code: SpanStatusCode.OK });
  span.end();
}
