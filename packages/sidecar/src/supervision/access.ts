import { type CredentialKind } from '@outrigger/protocol';
import { type CredentialSlot } from '../credentials/slot.js';
import { type Gate, type GateUser } from '../gateway/gate.js';
import { type Gateway } from '../gateway/gateway.js';

/** What can be seen of how the process of one attempt reaches its provider. */
export interface AttemptWay {
  /** When something last went to the provider or came from it; 0 where that cannot be seen. */
  readonly lastTrafficAt: () => number;
  /** Whether an answer of a model can be right: it was asked for here, or that cannot be seen. */
  readonly canHaveAnswer: () => boolean;
  /** Why the last request to the provider failed; null: it did not, or that cannot be seen. */
  readonly lastFailure: () => string | null;
  close(): void;
}

/** How the process of one attempt reaches its provider. */
export interface AttemptAccess extends AttemptWay {
  /** Null: the CLI's own. */
  readonly baseUrl: string | null;
  readonly kind: CredentialKind;
  /** What the process is given as its credential. */
  readonly secret: string;
  /** Whether it is worthless elsewhere, and so may be written down. */
  readonly isPlaceholder: boolean;
  /** By which another sidecar knows the placeholder, and where it is good; nulls: it is none. */
  readonly placeholderHash: string | null;
  readonly gatewayPort: number | null;
}

/** What was noted of the way of a process that another sidecar has started. */
export interface NotedWay {
  /** Null: it has the credential itself. */
  readonly placeholderHash: string | null;
  readonly gatewayPort: number | null;
  /** Whether it has asked the provider for anything. */
  readonly hasAsked: boolean;
}

/** How the processes of this sidecar reach their provider. */
export interface Access {
  readonly mode: 'gateway' | 'env';
  /** @throws Error when there is no credential */
  open(user: GateUser): AttemptAccess;
  /** The way of a process that another sidecar has started; null: it leads nowhere any more. */
  restore(noted: NotedWay, user: GateUser): AttemptWay | null;
}

/** Nothing can be seen of it. */
const UNSEEN: AttemptWay = {
  lastTrafficAt: () => 0,
  canHaveAnswer: () => true,
  lastFailure: () => null,
  close: () => undefined,
};

/** Through the gateway, with a placeholder that looks like the kind of credential that is in force now. */
export function gatewayAccess(gateway: Gateway, slot: CredentialSlot): Access {
  return {
    mode: 'gateway',
    open: (user) => {
      const kind = slot.current?.credential.kind ?? 'oauth';
      const { gate, placeholder, placeholderHash } = gateway.open(user);
      const { url: baseUrl, port: gatewayPort } = gateway;
      const named = { secret: placeholder, isPlaceholder: true, placeholderHash, gatewayPort };
      return { baseUrl, kind, ...named, ...wayOf(gate) };
    },
    restore: ({ placeholderHash, gatewayPort, hasAsked }, user) => {
      if (placeholderHash === null) return UNSEEN;
      if (gatewayPort !== gateway.port) return null;
      return wayOf(gateway.restore(placeholderHash, user), hasAsked);
    },
  };
}

function wayOf(gate: Gate, hasAsked = false): AttemptWay {
  return {
    lastTrafficAt: () => gate.lastTrafficAt,
    canHaveAnswer: () => hasAsked || gate.requestCount > 0,
    lastFailure: () => gate.lastFailure,
    close: () => gate.close(),
  };
}

/** Straight, with the credential itself in the environment. */
export function environmentAccess(slot: CredentialSlot, upstream: string | null): Access {
  return {
    mode: 'env',
    open: (user) => {
      const { current } = slot;
      if (current === null) throw new Error('the agent has no credential');
      user.onCredentialUsed(current);
      const { kind, secret } = current.credential;
      const named = { secret, isPlaceholder: false, placeholderHash: null, gatewayPort: null };
      return { baseUrl: upstream, kind, ...named, ...UNSEEN };
    },
    restore: ({ placeholderHash }) => (placeholderHash === null ? UNSEEN : null),
  };
}
