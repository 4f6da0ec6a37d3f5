import { HOLD_REASONS, OUTCOME_REASONS, OUTCOME_STATUSES } from '@outrigger/protocol';
import { Counter, Histogram, type Registry } from 'prom-client';
import { dispatchAnswer } from '../core/dispatch-answer.js';
import { type Dispatched } from '../events.js';
import { type AgentReport } from '../reconciler.js';
import { type Listening } from './listening.js';

const DISPATCH_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60];
const OUTCOME_SECONDS = [1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600];

const ANSWERS = ['accepted', 'queued', 'known', 'at_capacity', 'draining', 'agent_unreachable', 'failed'];
const SWITCH_REASONS = [...HOLD_REASONS, 'expired', 'replaced', 'removed', 'utilization'];
const ROUND_RESULTS = ['done', 'left_to_another', 'failed'] as const;
const ACTIONS = ['adopted', 'lost', 'forgotten', 'unreadable', 'failed'] as const;

/** Counts what a fleet tells of, since now. @returns the names of the metrics */
export function countFleet(fleet: Listening, registry: Registry): string[] {
  const names: string[] = [];
  const counter = <Label extends string = never>(name: string, help: string, label?: Label, values: string[] = []) => {
    names.push(name);
    const made = new Counter({ name, help, labelNames: label === undefined ? [] : [label], registers: [registry] });
    if (label !== undefined) values.forEach((value) => made.inc({ [label]: value } as Record<Label, string>, 0));
    return made;
  };
  const histogram = <Label extends string = never>(name: string, help: string, buckets: number[], label?: Label) => {
    names.push(name);
    return new Histogram({
      ...{ name, help, buckets, registers: [registry] },
      labelNames: label === undefined ? [] : [label],
    });
  };

  const dispatches = counter(
    'outrigger_fleet_dispatches_total',
    'Dispatches of this host to agents, by the answer or the code of the error',
    'answer',
    ANSWERS,
  );
  const dispatchSeconds = histogram(
    'outrigger_fleet_dispatch_seconds',
    'From the call to the answer of a dispatch',
    DISPATCH_SECONDS,
  );
  const toOutcome = histogram(
    'outrigger_fleet_dispatch_to_outcome_seconds',
    'From the dispatch by this host to the outcome, as heard here',
    OUTCOME_SECONDS,
    'status',
  );
  OUTCOME_STATUSES.forEach((status) => toOutcome.zero({ status }));
  fleet.on('dispatched', (event) => {
    const { known, execution, error } = event;
    dispatches.inc({ answer: dispatchAnswer({ known, state: execution?.state, error }) });
    dispatchSeconds.observe(event.afterMs / 1000);
    if (!known) observeOutcome(event, (status, seconds) => toOutcome.observe({ status }, seconds));
  });

  const outcomes = new Counter({
    name: 'outrigger_fleet_outcomes_total',
    help: 'Outcomes that onOutcome of this host has taken; of all hosts together each once',
    labelNames: ['status', 'reason'],
    registers: [registry],
  });
  names.push('outrigger_fleet_outcomes_total');
  Object.entries(OUTCOME_REASONS).forEach(([reason, { status }]) => outcomes.inc({ status, reason }, 0));
  fleet.on('outcomeHandled', ({ outcome: { status, reason } }) => outcomes.inc({ status, reason }));

  const corrected = counter('outrigger_fleet_outcomes_corrected_total', 'Presumed outcomes that gave way to evidence');
  fleet.on('outcomeCorrected', () => corrected.inc());
  const handlerFailures = counter(
    'outrigger_fleet_outcome_handler_failures_total',
    'Tries to handle an outcome that failed, in onOutcome or the store',
  );
  fleet.on('outcomeHandlerFailed', () => handlerFailures.inc());

  const outages = counter('outrigger_fleet_agent_outages_total', 'Connections to agents that were lost');
  fleet.on('agentUnreachable', () => outages.inc());
  const circuits = counter('outrigger_fleet_circuits_opened_total', 'Openings of circuit breakers of agents');
  fleet.on('circuitOpened', () => circuits.inc());
  const splits = counter('outrigger_fleet_split_stores_total', 'Meetings with hosts that have another store');
  fleet.on('splitStore', () => splits.inc());

  const needs = counter(
    'outrigger_fleet_credentials_needed_total',
    'Credentials that agents asked for, by why',
    'reason',
    [...HOLD_REASONS],
  );
  fleet.on('credentialNeeded', ({ reason }) => needs.inc({ reason }));
  const switches = counter(
    'outrigger_fleet_credential_switches_total',
    'Credentials that the pool gave to agents through this host, by why',
    'reason',
    SWITCH_REASONS,
  );
  fleet.on('credentialSwitched', ({ reason }) => switches.inc({ reason }));
  const exhausted = counter('outrigger_fleet_credentials_exhausted_total', 'Times that no credential was left');
  fleet.on('credentialsExhausted', () => exhausted.inc());

  const rounds = counter('outrigger_fleet_reconciles_total', 'Passes over one agent, by how they ended', 'result', [
    ...ROUND_RESULTS,
  ]);
  const actions = counter(
    'outrigger_fleet_reconcile_actions_total',
    'Executions about which the store and an agent were made to agree, by what was done',
    'action',
    [...ACTIONS],
  );
  fleet.on('reconciled', (report) => {
    rounds.inc({ result: resultOf(report) });
    ACTIONS.forEach((action) => actions.inc({ action }, report[action].length));
  });
  const storeErrors = counter(
    'outrigger_fleet_store_errors_total',
    'Failures of the store, by what it was asked to do',
    'operation',
  );
  fleet.on('storeFailed', ({ operation }) => storeErrors.inc({ operation }));
  return names;
}

function observeOutcome({ execution, at }: Dispatched, observe: (status: string, seconds: number) => void): void {
  execution?.outcome.then(
    ({ status }) => observe(status, Math.max(0, Date.now() - at) / 1000),
    // The fleet is closed: nobody hears how it ended.
    () => undefined,
  );
}

function resultOf({ failed, isLeftToAnother }: AgentReport): (typeof ROUND_RESULTS)[number] {
  if (failed.length > 0) return 'failed';
  return isLeftToAnother ? 'left_to_another' : 'done';
}
