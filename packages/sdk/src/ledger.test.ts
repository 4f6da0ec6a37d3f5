import { type SidecarFrame, type Welcome } from '@outrigger/protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { type CredentialNotice, type RateLimitEvent } from './events.js';
import { Ledger } from './ledger.js';
import { silentLogger } from './logger.js';
import { OutcomeDelivery } from './outcome-delivery.js';
import { memoryStore } from './store/memory/memory-store.js';

const logger = silentLogger;
const ignore = () => undefined;

let notices: CredentialNotice[];
let ledger: Ledger;
beforeEach(() => {
  notices = [];
  const store = memoryStore();
  const delivery = new OutcomeDelivery({
    ...{ store, holder: 'host', onOutcome: undefined, logger },
    onFailed: ignore,
    onHandled: ignore,
    onCorrected: ignore,
  });
  const onCredentialNotice = (notice: CredentialNotice) => notices.push(notice);
  ledger = new Ledger({
    agentId: 'agent-7',
    delivery,
    outcomes: 'all',
    logger,
    onLost: ignore,
    onBack: ignore,
    onReady: ignore,
    onSplitStore: ignore,
    onStored: ignore,
    onUnknown: ignore,
    onCredentialNotice,
    onAdmission: ignore,
  });
});

const welcome: Welcome = {
  type: 'welcome',
  version: 1,
  agentId: 'agent-7',
  journalId: 'j',
  bootId: 'b',
  sidecarVersion: '1',
  claudeVersion: null,
  capabilities: [],
  killMethods: [],
  isolation: 'none',
  limits: {},
  credentialMode: 'gateway',
  generation: 1,
  credentialId: 'team-a',
  counts: { live: 1, queued: 0, maxExecutions: 1, unacknowledged: 1 },
  refused: [],
};
const hold = { reason: 'auth_expired' as const, generation: 1, message: 'expired', until: 900 };
const state = (name: SidecarFrame<'state'>['state'], at: number): SidecarFrame<'state'> => ({
  type: 'state',
  executionId: 'e1',
  state: name,
  at,
  attempt: 1,
  ...(name === 'held' && { hold }),
});
const changed: SidecarFrame<'credential_changed'> = {
  type: 'credential_changed',
  at: 8,
  generation: 2,
  credentialId: 'team-b',
  kind: 'oauth',
};
const limit = (at: number): SidecarFrame<'rate_limit'> => ({
  type: 'rate_limit',
  at,
  generation: 1,
  credentialId: 'team-a',
  status: 'allowed_warning',
  windows: { '5h': { utilization: 0.9 } },
});

const tracked = () => {
  const tracker = ledger.executions.find('e1');
  if (tracker === undefined) throw new Error('e1 is not followed');
  return tracker;
};

describe('what a host knows of an agent', () => {
  it('C1: tells of a hold, and of the release with the generation that is in force by then', () => {
    ledger.onReady({ welcome, snapshot: [] });
    for (const notice of [state('running', 1), state('held', 5), changed, state('running', 9)]) ledger.onNotice(notice);
    expect(tracked().history.slice(1)).toEqual([
      { type: 'hold', ...hold, at: 5, attempt: 1 },
      { type: 'released', at: 9, attempt: 1, generation: 2 },
    ]);
    expect(ledger.credential).toMatchObject({ generation: 2, credentialId: 'team-b' });
    expect(notices).toEqual([changed]);
  });

  it('takes a hold, and the credential in force, from what a connection begins with', () => {
    const summary = { executionId: 'e1', state: 'held' as const, since: 5, attempt: 1, acceptedAt: 1, hold };
    ledger.onReady({ welcome, snapshot: [summary] });
    ledger.onNotice(state('held', 5));
    ledger.onNotice(state('running', 9));
    expect(tracked().history).toEqual([
      { type: 'hold', ...hold, at: 5, attempt: 1 },
      { type: 'released', at: 9, attempt: 1, generation: 1 },
      { type: 'state', state: 'running', at: 9, attempt: 1 },
    ]);
  });

  it('passes limits on to the executions that still run, and to those who hear of credentials', () => {
    const heard: RateLimitEvent[] = [];
    ledger.onNotice(state('running', 1));
    tracked().watch({
      onStep: ignore,
      onConcluded: ignore,
      onForgotten: ignore,
      onRateLimit: (event) => heard.push(event),
    });
    ledger.onNotice(limit(2));
    ledger.onNotice(state('ending', 3));
    ledger.onNotice(limit(4));
    expect(heard).toEqual([limit(2)]);
    expect(notices).toEqual([limit(2), limit(4)]);
  });

  it('keeps every state and the latest holds for readers that come later, however many holds there were', () => {
    ledger.onNotice(state('running', 0));
    for (let at = 1; at <= 2000; at += 2) {
      ledger.onNotice(state('held', at));
      ledger.onNotice(state('running', at + 1));
    }
    const { history } = tracked();
    expect(history).toHaveLength(1000);
    expect(history[0]).toMatchObject({ type: 'state', state: 'running' });
    expect(history.at(-1)).toMatchObject({ type: 'released', at: 2000 });
    expect(history[1]).toMatchObject({ at: 1002 });
  });
});
