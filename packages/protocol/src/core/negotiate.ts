/** Versions of the protocol this package speaks, best first. */
export const PROTOCOL_VERSIONS: readonly number[] = [1];

/** The WebSocket subprotocol of version 1. */
export const SUBPROTOCOL = 'outrigger.v1';

/** The best version both sides speak, or `null`. `offered` may be in any order. */
export function negotiateVersion(
  offered: readonly number[],
  spoken: readonly number[] = PROTOCOL_VERSIONS,
): number | null {
  return spoken.find((version) => offered.includes(version)) ?? null;
}
