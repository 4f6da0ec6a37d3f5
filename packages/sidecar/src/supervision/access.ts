import { type CredentialKind } from '@outrigger/protocol';
import { type CredentialSlot } from '../credentials/slot.js';
import { type GateUser } from '../gateway/gate.js';
import { type Gateway } from '../gateway/gateway.js';

/** How the process of one attempt reaches its provider. */
export interface AttemptAccess {
  /** Null: the CLI's own. */
  readonly baseUrl: string | null;
  readonly kind: CredentialKind;
  /** What the process is given as its credential. */
  readonly secret: string;
  /** Whether it is worthless elsewhere, and so may be written down. */
  readonly isPlaceholder: boolean;
  /** When something last went to the provider or came from it; 0 where that cannot be seen. */
  readonly lastTrafficAt: () => number;
  /** Whether an answer of a model can be right: it was asked for here, or that cannot be seen. */
  readonly canHaveAnswer: () => boolean;
  close(): void;
}

/** How the processes of this sidecar reach their provider. */
export interface Access {
  readonly mode: 'gateway' | 'env';
  /** @throws Error when there is no credential */
  open(user: GateUser): AttemptAccess;
}

/** Through the gateway, with a placeholder that looks like the kind of credential that is in force now. */
export function gatewayAccess(gateway: Gateway, slot: CredentialSlot): Access {
  return {
    mode: 'gateway',
    open: (user) => {
      const kind = slot.current?.credential.kind ?? 'oauth';
      const gate = gateway.open(user);
      return {
        baseUrl: gateway.url,
        kind,
        secret: gate.placeholder,
        isPlaceholder: true,
        lastTrafficAt: () => gate.lastTrafficAt,
        canHaveAnswer: () => gate.requestCount > 0,
        close: () => gate.close(),
      };
    },
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
      return {
        baseUrl: upstream,
        kind: current.credential.kind,
        secret: current.credential.secret,
        isPlaceholder: false,
        lastTrafficAt: () => 0,
        canHaveAnswer: () => true,
        close: () => undefined,
      };
    },
  };
}
