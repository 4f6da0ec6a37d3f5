import { type ExecutionState, type Welcome } from '@outrigger/protocol';
import { Gauge, type Registry } from 'prom-client';
import { type Credentials } from '../credentials/credentials.js';
import { type ExecutionJournal } from '../journal/execution-journal.js';
import { type StateFolder } from '../state/folder.js';
import { type Supervisor } from '../supervision/supervisor.js';

/** What is asked at each scrape. */
export interface GaugeSources {
  readonly supervisor: Pick<Supervisor, 'counts' | 'obstacles' | 'problem' | 'openStates'>;
  readonly credentials: Pick<Credentials, 'slot' | 'holds'>;
  readonly journal: Pick<ExecutionJournal, 'bytes' | 'isBehind'>;
  readonly state: Pick<StateFolder, 'freeBytes'>;
  readonly link: { readonly connections: number };
  readonly identity: () => Pick<
    Welcome,
    'sidecarVersion' | 'claudeVersion' | 'isolation' | 'killMethods' | 'credentialMode'
  >;
}

const OPEN_STATES = ['queued', 'starting', 'running', 'held', 'ending'] as const satisfies readonly ExecutionState[];

/** Reads how things stand when they are asked for: nothing is kept beside them that could disagree. */
export function gaugeIn(registry: Registry, { supervisor, credentials, journal, state, link, identity }: GaugeSources) {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(orNothing(read));
      },
    });
  const counts = () => supervisor.counts();

  new Gauge({
    name: 'outrigger_info',
    help: 'Always 1; what this sidecar is and how it works, in its labels',
    labelNames: ['version', 'claude_version', 'isolation', 'kill_method', 'credential_mode'],
    registers: [registry],
    collect() {
      const { sidecarVersion: version, claudeVersion, isolation, killMethods, credentialMode } = identity();
      const kill_method = killMethods.join(',');
      this.reset();
      this.set(
        { version, claude_version: claudeVersion ?? '', isolation, kill_method, credential_mode: credentialMode },
        1,
      );
    },
  });
  new Gauge({
    name: 'outrigger_executions',
    help: 'Executions that have not ended, by state; all but the queued ones hold a slot',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const states = supervisor.openStates();
      OPEN_STATES.forEach((name) => this.set({ state: name }, states.filter((one) => one === name).length));
    },
  });
  gauge('outrigger_slots', 'Executions that may run at a time', () => counts().maxExecutions);
  gauge(
    'outrigger_unacknowledged_outcomes',
    'Executions that ended and whose outcome no host has acknowledged',
    () => counts().unacknowledged - supervisor.openStates().length,
  );
  gauge('outrigger_ready', '1: a dispatch would be admitted if a slot were free', () =>
    Number(supervisor.problem === null),
  );
  gauge('outrigger_draining', '1: the agent drains, and admits nothing', () =>
    Number(supervisor.obstacles.drain !== undefined),
  );
  gauge('outrigger_circuit_open', '1: the circuit breaker admits nothing', () =>
    Number(supervisor.obstacles.circuit?.state === 'open'),
  );
  gauge(
    'outrigger_held_requests',
    'Requests, and executions between two attempts, that wait for another credential',
    () => credentials.holds.size,
  );
  gauge(
    'outrigger_credential_generation',
    'The number of the credential in force; 0: there is none',
    () => credentials.slot.generation ?? 0,
  );
  gauge(
    'outrigger_credential_expiry_timestamp_seconds',
    'When the credential in force expires; 0: that is not known',
    () => (credentials.slot.current?.credential.expiresAt ?? 0) / 1000,
  );
  gauge('outrigger_connections', 'Hosts that are connected', () => link.connections);
  gauge('outrigger_journal_bytes', 'Size of the journal', () => journal.bytes);
  gauge('outrigger_journal_behind', '1: the journal cannot be written, and nothing new is accepted', () =>
    Number(journal.isBehind),
  );
  gauge('outrigger_disk_free_bytes', 'Free disk space under the state folder', () => state.freeBytes);
}

/** What cannot be read must not keep the rest from being told. */
function orNothing(read: () => number): number {
  try {
    return read();
  } catch {
    return NaN;
  }
}
