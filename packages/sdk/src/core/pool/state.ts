import { type CredentialKind, type HoldReason } from '@outrigger/protocol';

/** Why a credential is not given to agents. Evidence is kept until the credential is replaced, or until `until`. */
export interface Fault {
  readonly reason: Exclude<HoldReason, 'credential_missing'>;
  readonly message: string;
  /** Epoch ms. */
  readonly at: number;
  /** Which agent told. */
  readonly agentId: string;
  /** Epoch ms at which it is good again; null: not by itself. */
  readonly until: number | null;
}

/** How much of a limit is used, as the provider has said last. */
export interface Window {
  /** A fraction. */
  readonly utilization: number;
  /** Epoch ms at which it begins anew. */
  readonly resetsAt?: number | undefined;
}

/** A credential as hosts share it: never its secret. */
export interface PoolCredential {
  readonly kind: CredentialKind;
  /** Tells one secret from another, and nothing about it. */
  readonly fingerprint: string;
  /** Epoch ms. */
  readonly expiresAt?: number | undefined;
  readonly fault: Fault | null;
  /** Models for which it is used up, and until when, in epoch ms. It is good for others. */
  readonly models: Readonly<Record<string, number>>;
  /** By the provider's names. */
  readonly windows: Readonly<Record<string, Window>>;
}

/** What an agent works with. */
export interface PoolAgent {
  /** Null: it has none, or none of which the name is known. */
  readonly credentialId: string | null;
  /** Of the secret it was given by a host; undefined: that is not known. */
  readonly fingerprint?: string | undefined;
  readonly generation: number | null;
  /** In which journal of the agent that generation counts. */
  readonly journalId: string;
  /** A user has chosen its credential. */
  readonly isPinned: boolean;
  /** What it is to have instead, in place of `replaces`. */
  readonly wanted?:
    { readonly credentialId: string; readonly replaces: number | null; readonly why: SwitchReason } | undefined;
  /** It needs another one, and there was none. */
  readonly need?: Need | undefined;
}

/** Why an agent is given another credential. */
export type SwitchReason = HoldReason | 'expired' | 'replaced' | 'removed' | 'utilization';

/** What an agent waits for. */
export interface Need {
  readonly generation: number | null;
  readonly why: SwitchReason;
  readonly model?: string | undefined;
}

/** What all hosts know of the fleet's credentials, by id and by agent. Times are epoch ms. */
export interface PoolState {
  readonly credentials: Readonly<Record<string, PoolCredential>>;
  readonly agents: Readonly<Record<string, PoolAgent>>;
  /** None is left for some agent; `until`: the earliest at which one is good again. */
  readonly exhausted: { readonly since: number; readonly until: number | null } | null;
}

export const EMPTY_POOL: PoolState = { credentials: {}, agents: {}, exhausted: null };

/** Where the pool's choices come from. */
export interface PoolPolicy {
  /** A limit without a reset time is taken for used up for so long. Milliseconds. */
  readonly coolingMs: number;
  /** From this fraction of a limit on an agent is given a credential that is less used; null: never. */
  readonly switchAtUtilization: number | null;
}

/** Which credential an event is about, as its agent has told. */
export interface InForce {
  readonly agentId: string;
  readonly journalId: string;
  readonly generation: number | null;
  readonly credentialId: string | null;
}

/** What has happened. `agent` events tell what is in force on it. */
export type PoolEvent =
  | {
      readonly is: 'put';
      readonly id: string;
      readonly kind: CredentialKind;
      readonly fingerprint: string;
      readonly expiresAt?: number | undefined;
    }
  | { readonly is: 'removed'; readonly id: string }
  | ({ readonly is: 'agent'; readonly fingerprint?: string } & InForce)
  | ({
      readonly is: 'needed';
      readonly reason: HoldReason;
      readonly message: string;
      readonly at: number;
      readonly retryAt?: number | undefined;
      readonly model?: string | undefined;
      /** Set when the limit is one of some models only. */
      readonly isOfModel: boolean;
      /** What a preflight has said since; needed before an unnamed refusal condemns a credential. */
      readonly confirmed?: 'refused' | 'good' | 'unknown';
    } & InForce)
  | {
      readonly is: 'limits';
      readonly credentialId: string;
      readonly windows: Readonly<Record<string, Window>>;
    }
  | { readonly is: 'pinned'; readonly agentId: string; readonly isPinned: boolean }
  | { readonly is: 'gone'; readonly agentId: string }
  /** Time has passed. */
  | { readonly is: 'tick' };
