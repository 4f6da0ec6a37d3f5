import { chooseCredential, earliestGood, isGood, standingOf, utilizationOf } from './choose.js';
import {
  type Fault,
  type InForce,
  type Need,
  type PoolAgent,
  type PoolCredential,
  type PoolEvent,
  type PoolPolicy,
  type PoolState,
  type SwitchReason,
} from './state.js';

const NEW_AGENT: PoolAgent = { credentialId: null, generation: null, journalId: '', isPinned: false };

/**
 * Takes an event, and gives agents what they are to have from then on. One that tells nothing new changes nothing, so it does
 * not matter how many hosts report the same.
 */
export function foldPool(pool: PoolState, event: PoolEvent, nowMs: number, policy: PoolPolicy): PoolState {
  return assign(note(pool, event, nowMs, policy), nowMs, policy);
}

/** Whether a refusal has to be confirmed before it condemns a credential: the provider has not said what is wrong. */
export function needsConfirmation(pool: PoolState, event: PoolEvent & { is: 'needed' }): boolean {
  const { reason, credentialId, confirmed } = event;
  if (reason !== 'auth_invalid' || confirmed !== undefined || credentialId === null) return false;
  return !isOver(pool, event) && pool.credentials[credentialId]?.fault === null;
}

function note(pool: PoolState, event: PoolEvent, nowMs: number, policy: PoolPolicy): PoolState {
  switch (event.is) {
    case 'put': {
      const { id, kind, fingerprint, expiresAt } = event;
      const present = pool.credentials[id];
      const isSame = present?.fingerprint === fingerprint && present.kind === kind;
      if (isSame && present.expiresAt === expiresAt) return pool;
      const fresh = { fault: null, models: {}, windows: {} };
      return withCredential(pool, id, { ...(isSame ? present : fresh), kind, fingerprint, expiresAt });
    }
    case 'removed': {
      const { [event.id]: removed, ...credentials } = pool.credentials;
      return removed === undefined ? pool : { ...pool, credentials };
    }
    case 'agent':
      return noteAgent(pool, event);
    case 'needed':
      return noteNeed(pool, event, nowMs, policy);
    case 'limits': {
      const { credentialId, windows } = event;
      const credential = pool.credentials[credentialId];
      if (credential === undefined) return pool;
      return withCredential(pool, credentialId, { ...credential, windows: { ...credential.windows, ...windows } });
    }
    case 'pinned': {
      const { agentId, isPinned } = event;
      const { wanted, ...agent } = pool.agents[agentId] ?? NEW_AGENT;
      return withAgent(pool, agentId, { ...agent, isPinned, wanted: isPinned ? undefined : wanted });
    }
    case 'gone': {
      const { [event.agentId]: gone, ...agents } = pool.agents;
      return gone === undefined ? pool : { ...pool, agents };
    }
    case 'tick':
      return pool;
  }
}

function noteAgent(pool: PoolState, event: PoolEvent & { is: 'agent' }): PoolState {
  const { agentId, generation, credentialId, journalId, fingerprint } = event;
  const present = pool.agents[agentId];
  // What an old connection still has to say is no news.
  if (isOver(pool, event)) return pool;
  const inForce = { generation, credentialId, journalId };
  if (present === undefined || !isIn(present, inForce)) {
    // A swap of which the answer was lost shows in what is in force.
    const isAsWanted = present?.wanted !== undefined && present.wanted.credentialId === credentialId;
    const given = isAsWanted ? pool.credentials[present.wanted.credentialId]?.fingerprint : undefined;
    const isPinned = present?.isPinned ?? false;
    return withAgent(pool, agentId, { ...inForce, isPinned, fingerprint: fingerprint ?? given });
  }
  if (fingerprint === undefined || fingerprint === present.fingerprint) return pool;
  const { wanted, ...rest } = present;
  // It has that very secret already, under whatever name, so this one will not do.
  const isInVain = wanted !== undefined && pool.credentials[wanted.credentialId]?.fingerprint === fingerprint;
  if (!isInVain) return withAgent(pool, agentId, { ...present, fingerprint });
  return withAgent(pool, agentId, { ...rest, fingerprint, need: { generation, why: wanted.why } });
}

function noteNeed(pool: PoolState, event: PoolEvent & { is: 'needed' }, nowMs: number, policy: PoolPolicy): PoolState {
  const { agentId, generation, credentialId, journalId, reason, model, isOfModel } = event;
  const known = noteAgent(pool, { is: 'agent', agentId, journalId, generation, credentialId });
  const agent = known.agents[agentId] ?? NEW_AGENT;
  const blamed = credentialId === null ? known : blame(known, credentialId, event, policy);
  // Another one is in force already, or on its way.
  if (isOver(known, event) || agent.wanted?.replaces === generation) return blamed;
  const need: Need = { generation, why: reason, ...(isOfModel && { model }) };
  return withAgent(blamed, agentId, { ...agent, need });
}

/** Keeps what was said against a credential: of the same fault the one that lasts longer. */
function blame(pool: PoolState, id: string, event: PoolEvent & { is: 'needed' }, policy: PoolPolicy): PoolState {
  const { reason, message, at, agentId, retryAt, model, isOfModel, confirmed } = event;
  const credential = pool.credentials[id];
  const agent = pool.agents[agentId];
  if (credential === undefined || reason === 'credential_missing') return pool;
  // It was said of the secret before this one.
  const isOfAnother = agent?.fingerprint !== undefined && agent.fingerprint !== credential.fingerprint;
  if (isOfAnother || isOver(pool, event)) return pool;
  if (reason === 'rate_limited' && isOfModel && model !== undefined) {
    const until = Math.max(credential.models[model] ?? 0, retryAt ?? at + policy.coolingMs);
    return withCredential(pool, id, { ...credential, models: { ...credential.models, [model]: until } });
  }
  if (reason === 'auth_invalid' && confirmed !== 'refused') return pool;
  const until = reason === 'rate_limited' ? (retryAt ?? at + policy.coolingMs) : null;
  if (!isWorse(until, credential.fault)) return pool;
  return withCredential(pool, id, { ...credential, fault: { reason, message, at, agentId, until } });
}

function isWorse(until: number | null, present: Fault | null): boolean {
  if (present === null) return true;
  return present.until !== null && (until === null || until > present.until);
}

/** Gives each agent that needs one a credential, as far as there are any, and says whether there are. */
function assign(pool: PoolState, nowMs: number, policy: PoolPolicy): PoolState {
  let assigned = pool;
  let lacking: Need | null = null;
  for (const agentId of Object.keys(pool.agents).sort()) {
    const agent = assigned.agents[agentId] ?? NEW_AGENT;
    if (agent.isPinned) continue;
    const stands = agent.wanted === undefined || isStillWanted(assigned, agent.wanted.credentialId, agent, nowMs);
    const settled = stands ? agent : withdrawWish(agent);
    if (stands && agent.wanted !== undefined) continue;
    const need = needOf(assigned, settled, nowMs, policy);
    if (need === null) {
      const { need: over, ...content } = settled;
      if (over !== undefined || settled !== agent) assigned = withAgent(assigned, agentId, content);
      continue;
    }
    const chosen = chooseCredential(assigned, wishOf(assigned, agentId, settled, need), nowMs);
    if (chosen !== null) {
      const wanted = { credentialId: chosen, replaces: settled.generation, why: need.why };
      const { need: _met, ...met } = settled;
      assigned = withAgent(assigned, agentId, { ...met, wanted });
    } else {
      if (isUrgent(need)) lacking ??= need;
      if (isUrgent(need) && !sameNeed(settled.need, need))
        assigned = withAgent(assigned, agentId, { ...settled, need });
      else if (settled !== agent) assigned = withAgent(assigned, agentId, settled);
    }
  }
  return noteExhaustion(assigned, lacking, nowMs);
}

/** What it was to have will not do any more. What was told of it, and cannot be seen from how things stand, is still so. */
function withdrawWish({ wanted, ...agent }: PoolAgent): PoolAgent {
  if (wanted === undefined || !isTold(wanted.why) || wanted.replaces !== agent.generation) return agent;
  return { ...agent, need: { generation: agent.generation, why: wanted.why } };
}

function isTold(why: SwitchReason): boolean {
  return why !== 'expired' && why !== 'replaced' && why !== 'removed' && why !== 'utilization';
}

/** Why an agent is to have another credential than it has; null: it is not. */
function needOf(pool: PoolState, agent: PoolAgent, nowMs: number, policy: PoolPolicy): Need | null {
  const { credentialId, generation, need, fingerprint } = agent;
  const credential = credentialId === null ? undefined : pool.credentials[credentialId];
  if (need !== undefined && need.generation === generation) {
    // The agent tries again by itself when the provider's time has come.
    const isSame = credential !== undefined && (fingerprint === undefined || fingerprint === credential.fingerprint);
    const isGoodAgain = need.why === 'rate_limited' && isSame && isGood(credential, need.model, nowMs);
    return isGoodAgain ? null : need;
  }
  if (credentialId === null) return generation === null ? { generation, why: 'credential_missing' } : null;
  if (credential === undefined) return fingerprint === undefined ? null : { generation, why: 'removed' };
  if (fingerprint !== undefined && fingerprint !== credential.fingerprint) return { generation, why: 'replaced' };
  if (standingOf(credential, nowMs).is === 'expired') return { generation, why: 'expired' };
  const { switchAtUtilization } = policy;
  const isUsedUp = switchAtUtilization !== null && utilizationOf(credential, nowMs) >= switchAtUtilization;
  return isUsedUp ? { generation, why: 'utilization' } : null;
}

function wishOf(pool: PoolState, agentId: string, agent: PoolAgent, need: Need) {
  const current = agent.credentialId === null ? undefined : pool.credentials[agent.credentialId];
  return {
    agentId,
    model: need.model,
    not: agent.fingerprint ?? current?.fingerprint,
    // Only one that is clearly less used is worth a switch.
    utilizationBelow: need.why === 'utilization' && current ? utilizationFloor(current) : undefined,
  };
}

const HYSTERESIS = 0.1;

function utilizationFloor({ windows }: PoolCredential): number {
  return Math.max(0, ...Object.values(windows).map(({ utilization }) => utilization)) - HYSTERESIS;
}

function isStillWanted(pool: PoolState, id: string, agent: PoolAgent, nowMs: number): boolean {
  const credential = pool.credentials[id];
  if (credential === undefined || credential.fingerprint === agent.fingerprint) return false;
  return agent.wanted?.replaces === agent.generation && isGood(credential, undefined, nowMs);
}

/** Runs wait for it, or will be refused. */
function isUrgent({ why }: Need): boolean {
  return why !== 'utilization' && why !== 'replaced' && why !== 'removed';
}

function sameNeed(a: Need | undefined, b: Need): boolean {
  return a?.generation === b.generation && a.why === b.why && a.model === b.model;
}

function noteExhaustion(pool: PoolState, lacking: Need | null, nowMs: number): PoolState {
  if (lacking === null || Object.keys(pool.credentials).length === 0) {
    return pool.exhausted === null ? pool : { ...pool, exhausted: null };
  }
  const until = earliestGood(pool, lacking.model, nowMs);
  if (pool.exhausted !== null && pool.exhausted.until === until) return pool;
  return { ...pool, exhausted: { since: pool.exhausted?.since ?? nowMs, until } };
}

/** Whether an agent is known to have another credential since. */
function isOver({ agents }: PoolState, { agentId, journalId, generation }: InForce): boolean {
  const present = agents[agentId];
  if (present?.journalId !== journalId || present.generation === null) return false;
  return generation === null || present.generation > generation;
}

function isIn(agent: PoolAgent, { journalId, generation, credentialId }: Omit<InForce, 'agentId'>): boolean {
  return agent.journalId === journalId && agent.generation === generation && agent.credentialId === credentialId;
}

function withCredential(pool: PoolState, id: string, credential: PoolCredential): PoolState {
  return { ...pool, credentials: { ...pool.credentials, [id]: credential } };
}

function withAgent(pool: PoolState, agentId: string, agent: PoolAgent): PoolState {
  return { ...pool, agents: { ...pool.agents, [agentId]: agent } };
}
