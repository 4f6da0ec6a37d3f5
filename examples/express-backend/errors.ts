import { OutriggerError, SDK_ERRORS, type SdkErrorCode, WIRE_ERRORS, type WireErrorCode } from '@outrigger/sdk';
import { type ErrorRequestHandler } from 'express';
import { type Logger } from 'pino';

/** Whatever is not here is our fault. */
const STATUS: Readonly<Partial<Record<SdkErrorCode | WireErrorCode, number>>> = {
  invalid: 400,
  unknown_execution: 404,
  execution_conflict: 409,
  wrong_agent: 409,
  execution_forgotten: 410,
  frame_too_large: 413,
  limit_reached: 429,
  no_place: 429,
  at_capacity: 429,
  limit_exceeded: 503,
  draining: 503,
  circuit_open: 503,
  disk_low: 503,
  credential_missing: 503,
  credential_refused: 503,
  credential_expired: 503,
  agent_unreachable: 503,
  agent_closed: 503,
  fleet_closed: 503,
  store_unavailable: 503,
};

/** When to come back after 429 and 503. Seconds. */
const RETRY_AFTER_S = 5;

export interface Fault {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** What a client is told of an error: what it can do something about in full, of the rest no more than the meaning. */
export function faultOf(error: unknown): Fault {
  if (error instanceof OutriggerError) {
    const status = STATUS[error.code as keyof typeof STATUS] ?? 500;
    const { code } = error;
    return { status, code, message: status < 500 ? error.message : meaningOf(code) };
  }
  // Of the parser of the body: not JSON, too long, in an unknown charset.
  const { status, expose, message } = error as { status?: number; expose?: boolean; message?: string };
  if (status !== undefined && status < 500 && expose === true) {
    return { status, code: 'invalid', message: status === 413 ? 'the body is too long' : (message ?? '') };
  }
  return { status: 500, code: 'internal', message: 'the backend failed; its log has the cause' };
}

/** Answers with the error. The log has all of it. */
export function answerFaults(logger: Logger): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    const { status, code, message } = faultOf(error);
    const { id } = response.locals as { id?: string };
    const told = { method: request.method, status, code, id };
    if (status < 500) logger.info({ ...told, message }, 'request refused');
    else logger.error({ ...told, err: error }, 'request failed');
    if (response.headersSent) {
      next(error);
      return;
    }
    if (status === 429 || status === 503) response.set('Retry-After', String(RETRY_AFTER_S));
    response.status(status).json({ error: { code, message }, ...(id !== undefined && { id }) });
  };
}

function meaningOf(code: string): string {
  const meanings: Readonly<Record<string, { meaning: string } | undefined>> = { ...WIRE_ERRORS, ...SDK_ERRORS };
  return meanings[code]?.meaning ?? code;
}
