import { type WireError } from '@outrigger/protocol';

/** A swap that the agent has refused. */
export interface RefusedSwap {
  readonly error: WireError;
  /** The name of the credential it was to put in force. */
  readonly credentialId: string;
  /** Connections it was sent on. */
  readonly timesSent: number;
  /** What is in force on the agent. */
  readonly inForce: { readonly generation: number | null; readonly credentialId: string | null };
}

/**
 * The generation a refused swap has put in force all the same, or `null`.
 *
 * One with `ifGeneration` that was applied makes itself stale: if the connection is lost before its answer, the agent
 * refuses it when it is sent again. That the credential of its name is in force then says that it was applied. Another
 * host could have put it there in that very moment; then nothing is overwritten, and it is in force as well.
 */
export function generationOfOwnSwap({ error, credentialId, timesSent, inForce }: RefusedSwap): number | null {
  const isOwn = error.code === 'stale_generation' && timesSent > 1 && inForce.credentialId === credentialId;
  return isOwn ? inForce.generation : null;
}
