import { HOLD_REASONS, type HoldReason } from '@outrigger/protocol';

/** What another credential helps against. */
export type Curable = Exclude<HoldReason, 'credential_missing'>;

export function isCurable(reason: string): reason is Curable {
  return (HOLD_REASONS as readonly string[]).includes(reason) && reason !== 'credential_missing';
}
