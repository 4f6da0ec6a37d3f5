import { type AgentInfo, type AgentStatus } from '../agent.js';
import { countUntaken } from './commands/status.js';
import { formatBytes, formatDuration } from './values.js';

/** What `outrigger doctor` has found of one thing. */
export interface Finding {
  readonly about: string;
  readonly grade: 'ok' | 'warning' | 'fault';
  readonly says: string;
  /** What to do; absent: nothing. */
  readonly advice?: string;
}

/** Process 1 under these names reaps orphans. */
const INITS = ['tini', 'docker-init', 'dumb-init', 'catatonit', 'systemd', 'init', 's6-svscan', 'runit'];
const SKEW_MS_MAX = 5000;
/** More outcomes that nobody takes than a backend leaves between two looks. */
const UNTAKEN_MAX = 100;

/** Judges an agent. `askedAtMs` and `answeredAtMs` are moments of this machine around its answer. */
export function diagnose(
  info: AgentInfo,
  status: AgentStatus,
  { askedAtMs, answeredAtMs }: { askedAtMs: number; answeredAtMs: number },
): Finding[] {
  return [
    killing(info),
    isolation(info),
    claude(info),
    gateway(info),
    credential(status),
    admission(status),
    ...machine(status, (askedAtMs + answeredAtMs) / 2),
    ...outcomes(status),
  ];
}

function killing({ killMethods }: AgentInfo): Finding {
  const [best] = killMethods;
  const says = `processes of runs are told apart by ${killMethods.join(', ') || 'nothing'}`;
  if (best === 'cgroup' || best === 'rlimit') return { about: 'kill', grade: 'ok', says };
  const advice =
    'allow prlimit, or make a cgroup writable; else a process that has left its session may survive its run';
  return { about: 'kill', grade: 'warning', says, advice };
}

function isolation({ isolation: kind }: AgentInfo): Finding {
  if (kind === 'uid') return { about: 'isolation', grade: 'ok', says: 'runs have a uid of their own' };
  const says = 'isolation: none; a run can read the memory, files and credential of the sidecar';
  return { about: 'isolation', grade: 'warning', says, advice: 'start the sidecar as root with --run-as USER' };
}

function claude({ claudeVersion, sidecarVersion }: AgentInfo): Finding {
  const says = `Claude Code ${claudeVersion ?? 'of an unknown version'}, sidecar ${sidecarVersion}`;
  if (claudeVersion !== null) return { about: 'versions', grade: 'ok', says };
  return {
    about: 'versions',
    grade: 'fault',
    says,
    advice: 'check that --claude names a CLI that starts: run it with --version',
  };
}

function gateway({ credentialMode }: AgentInfo): Finding {
  if (credentialMode === 'gateway') return { about: 'gateway', grade: 'ok', says: 'requests go through the gateway' };
  const says = 'credential mode env: runs hold the secret themselves, and cannot be held or given another one';
  return { about: 'gateway', grade: 'warning', says, advice: 'leave out --credential-mode env' };
}

function credential({ credentialId, generation, preflight }: AgentStatus): Finding {
  const name = credentialId ?? 'none';
  if (generation === null) {
    const advice = 'give it one: outrigger swap --id NAME --file FILE';
    return { about: 'credential', grade: 'fault', says: 'there is no credential; nothing is admitted', advice };
  }
  switch (preflight?.verdict) {
    case 'good':
      return { about: 'credential', grade: 'ok', says: `the provider accepts ${name}` };
    case 'refused': {
      const says = `the provider refuses ${name}: ${preflight.message ?? preflight.reason ?? ''}`;
      return { about: 'credential', grade: 'fault', says, advice: 'swap another one in' };
    }
    default: {
      const says = `${name} is in force; whether it is good could not be found out: ${preflight?.message ?? 'the provider was not asked'}`;
      return { about: 'credential', grade: 'warning', says, advice: 'check that the agent reaches its --upstream' };
    }
  }
}

function admission({ drain, circuit }: AgentStatus): Finding {
  if (circuit !== undefined) {
    const says = `the circuit is ${circuit.state}: ${circuit.executionId} died young of ${circuit.reason}`;
    const advice = `outrigger logs --follow ${circuit.executionId} says how it ended, and --stderr what it printed`;
    return { about: 'admission', grade: 'fault', says, advice };
  }
  if (drain === undefined || drain.state === 'ended') {
    return { about: 'admission', grade: 'ok', says: 'neither a drain nor the circuit breaker keeps runs out' };
  }
  const advice = drain.isFinal ? 'it stops once nothing runs' : 'outrigger resume ends the drain';
  const says = drain.state === 'failed' ? 'its drain has failed, and goes on' : `it is ${drain.state}`;
  return { about: 'admission', grade: 'warning', says, advice };
}

function machine({ machine: facts }: AgentStatus, nowMs: number): Finding[] {
  if (facts === undefined) return [];
  const { at, freeBytes, freeBytesMin, init } = facts;
  const skewMs = Math.abs(at - nowMs);
  const isSkewed = skewMs > SKEW_MS_MAX;
  const isFull = freeBytes < freeBytesMin;
  const isNearlyFull = freeBytes < 2 * freeBytesMin;
  const reaps = init !== null && INITS.includes(init);
  return [
    {
      about: 'clock',
      grade: isSkewed ? 'warning' : 'ok',
      says: `the agent's clock is ${formatDuration(skewMs)} off this one`,
      ...(isSkewed && { advice: "synchronise the clocks; times of outcomes and holds are the agent's" }),
    },
    {
      about: 'disk',
      grade: isFull ? 'fault' : isNearlyFull ? 'warning' : 'ok',
      says: `${formatBytes(freeBytes)} free under the state folder, at least ${formatBytes(freeBytesMin)} are needed`,
      ...((isFull || isNearlyFull) && { advice: 'free some, or give the state folder a larger volume' }),
    },
    {
      about: 'init',
      grade: reaps ? 'ok' : 'warning',
      says: `process 1 is ${init ?? 'not known'}`,
      ...(!reaps && { advice: 'start the container with tini, so that what a killed tree leaves behind is reaped' }),
    },
  ];
}

function outcomes(status: AgentStatus): Finding[] {
  const untaken = countUntaken(status);
  if (untaken < UNTAKEN_MAX) return [];
  const says = `${untaken} outcomes wait for a host to take them`;
  return [{ about: 'outcomes', grade: 'warning', says, advice: 'see whether the backend runs, and its onOutcome' }];
}
