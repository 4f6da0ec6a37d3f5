/** Why a connection was closed, whose doing it was, and whether to connect again. */
export interface CloseCodeMeaning {
  readonly code: number;
  readonly meaning: string;
  readonly fault: 'nobody' | 'client' | 'sidecar';
  readonly reconnect: boolean;
}

/** Close codes of `outrigger.v1`; each has one meaning. Codes below 4000 are those of RFC 6455. */
export const CLOSE_CODES = {
  normal: { code: 1000, meaning: 'The client is done.', fault: 'nobody', reconnect: false },
  goingAway: { code: 1001, meaning: 'The sidecar stops.', fault: 'nobody', reconnect: true },
  frameTooLarge: {
    code: 1009,
    meaning: 'A message was larger than `frameBytesMax`.',
    fault: 'client',
    reconnect: true,
  },
  protocolError: {
    code: 4400,
    meaning: 'A message was binary, no JSON object, had no usable `id`, or came before `hello`.',
    fault: 'client',
    reconnect: false,
  },
  unsupportedVersion: {
    code: 4406,
    meaning: 'None of the versions in `hello` is spoken here.',
    fault: 'client',
    reconnect: false,
  },
  helloTimeout: { code: 4408, meaning: 'No `hello` came in time.', fault: 'client', reconnect: true },
  tooManyRequests: {
    code: 4429,
    meaning: 'Requests came faster than the limit for a connection.',
    fault: 'client',
    reconnect: true,
  },
  slowReader: {
    code: 4430,
    meaning: 'The client left more than the limit of queued bytes unread.',
    fault: 'client',
    reconnect: true,
  },
  internal: { code: 4500, meaning: 'The sidecar failed; its log has the cause.', fault: 'sidecar', reconnect: true },
} as const satisfies Record<string, CloseCodeMeaning>;

/** The name of a close code. */
export type CloseReason = keyof typeof CLOSE_CODES;

/** The meaning of a close code; `undefined` for one that is not ours, e.g. 1006 when the network went away. */
export function closeMeaning(code: number): CloseCodeMeaning | undefined {
  return Object.values(CLOSE_CODES).find((entry) => entry.code === code);
}
