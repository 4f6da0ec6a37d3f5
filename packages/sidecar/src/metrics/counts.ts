import { HOLD_REASONS, OUTCOME_REASONS, OUTCOME_STATUSES, type OutcomeStatus } from '@outrigger/protocol';
import { Counter, Histogram, type Registry } from 'prom-client';
import { CODE_CLASSES, codeClassOf, DISPATCH_ANSWERS, SWAP_RESULTS } from '../core/measures.js';
import { DENIALS, type Meter } from './meter.js';

/** From a second to the longest a run may take. */
const RUN_SECONDS = [1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600];
/** From a release by the next credential in the pool to the longest there is. */
const HOLD_SECONDS = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 5 * 3600, 24 * 3600];
const FIRST_BYTE_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 600];
const START_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60, 300, 600, 3600];

/** Of executions that had a process. */
const RUN_STATUSES: readonly OutcomeStatus[] = OUTCOME_STATUSES.filter(
  (status) => status !== 'skipped' && status !== 'lost',
);

/** A label with every value it can have. */
interface LabelOf<Name extends string> {
  readonly name: Name;
  readonly values: readonly string[];
}

/**
 * Counts what happens since this process began. Every combination of labels there can be is there from the start, at zero:
 * a rate does not see the first step of one that appears with it.
 */
export function countIn(registry: Registry): Meter {
  const registers = [registry];
  const counter = <Label extends string = never>(name: string, help: string, label?: LabelOf<Label>) => {
    const made = new Counter({ name, help, labelNames: label ? [label.name] : [], registers });
    label?.values.forEach((value) => made.inc({ [label.name]: value } as Record<Label, string>, 0));
    return made;
  };
  const histogram = <Label extends string = never>(
    name: string,
    help: string,
    { buckets, label }: { buckets: number[]; label?: LabelOf<Label> },
  ) => {
    const made = new Histogram({ name, help, buckets, labelNames: label ? [label.name] : [], registers });
    label?.values.forEach((value) => made.zero({ [label.name]: value } as Record<Label, string>));
    return made;
  };

  const dispatches = counter('outrigger_dispatches_total', 'Dispatches, by what they were answered', {
    name: 'answer',
    values: DISPATCH_ANSWERS,
  });
  const swaps = counter('outrigger_swaps_total', 'Swaps of the credential that hosts asked for, by what came of them', {
    name: 'result',
    values: SWAP_RESULTS,
  });
  const ended = new Counter({
    name: 'outrigger_executions_ended_total',
    help: 'Executions that ended, by the status and reason of their outcome',
    labelNames: ['status', 'reason'],
    registers: [registry],
  });
  Object.entries(OUTCOME_REASONS).forEach(([reason, { status }]) => ended.inc({ status, reason }, 0));
  const durations = histogram(
    'outrigger_execution_duration_seconds',
    'From the start of the first process of an execution to what ended it, holds included',
    { buckets: RUN_SECONDS, label: { name: 'status', values: RUN_STATUSES } },
  );
  const starts = histogram(
    'outrigger_execution_start_seconds',
    'From the acceptance of an execution to the start of its first process, the queue included',
    { buckets: START_SECONDS },
  );
  const survivors = counter(
    'outrigger_survivors_total',
    'Processes that lived on after the tree they belong to was killed',
  );
  const adopted = counter('outrigger_adopted_total', 'Processes of an earlier sidecar that this one has taken over');
  const output = counter('outrigger_output_bytes_total', 'Bytes that executions have printed', {
    name: 'log',
    values: ['stdout', 'stderr'],
  });
  const requests = counter(
    'outrigger_gateway_requests_total',
    'Requests of executions that the gateway took, by what they were told; cut: the connection ended without an answer',
    { name: 'code_class', values: CODE_CLASSES },
  );
  const denials = counter('outrigger_gateway_denied_total', 'Requests that the gateway itself did not take, by why', {
    name: 'reason',
    values: DENIALS,
  });
  const firstBytes = histogram(
    'outrigger_gateway_first_byte_seconds',
    'From sending a request to the provider to the head of the answer',
    { buckets: FIRST_BYTE_SECONDS },
  );
  const failures = counter(
    'outrigger_gateway_failures_total',
    'Requests that failed on the way to the provider, or whose answer broke off',
  );
  const throttles = counter(
    'outrigger_gateway_throttles_total',
    'Answers (short throttles, overloads) after which a request waits in place and is sent again',
  );
  const refusals = counter(
    'outrigger_gateway_refusals_total',
    'Answers of the provider that refuse the credential, by why',
    { name: 'reason', values: HOLD_REASONS.filter((reason) => reason !== 'credential_missing') },
  );
  const holds = histogram(
    'outrigger_hold_duration_seconds',
    'How long what waited for another credential has waited, by why',
    { buckets: HOLD_SECONDS, label: { name: 'reason', values: HOLD_REASONS } },
  );

  return {
    dispatchAnswered: (answer) => dispatches.inc({ answer }),
    swapAnswered: (result) => swaps.inc({ result }),
    ended: (outcome) => {
      const { status, reason, acceptedAt, startedAt, endedAt } = outcome;
      ended.inc({ status, reason });
      survivors.inc(outcome.survivors ?? 0);
      if (startedAt === undefined || !RUN_STATUSES.includes(status)) return;
      starts.observe(secondsBetween(acceptedAt, startedAt));
      durations.observe({ status }, secondsBetween(startedAt, endedAt));
    },
    adopted: () => adopted.inc(),
    printed: (log, bytes) => output.inc({ log }, bytes),
    requestEnded: (status) => requests.inc({ code_class: codeClassOf(status) }),
    requestDenied: (reason) => denials.inc({ reason }),
    answerBegan: (afterMs) => firstBytes.observe(afterMs / 1000),
    providerFailed: () => failures.inc(),
    throttled: () => throttles.inc(),
    credentialRefused: (reason) => refusals.inc({ reason }),
    holdEnded: (reason, afterMs) => holds.observe({ reason }, afterMs / 1000),
  };
}

/** What is derived from two clocks can go back a little. */
function secondsBetween(fromMs: number, toMs: number): number {
  return Math.max(0, toMs - fromMs) / 1000;
}
