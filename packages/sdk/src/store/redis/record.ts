import { cursorSchema, outcomeSchema } from '@outrigger/protocol';
import { sdkError } from '../../errors.js';
import { type Conclusion, type ExecutionKey, type ExecutionRecord } from '../store.js';

/** Reads a record as it is stored. @throws `unreadable_record` */
export function readRecord({ agentId, executionId }: ExecutionKey, hash: Record<string, string>): ExecutionRecord {
  return reading(executionId, () => {
    const { createdAt, journalId, limits = '[]', outcome, end, handled } = hash;
    const at = Number(createdAt);
    if (createdAt === undefined || !Number.isSafeInteger(at)) throw new Error('createdAt is missing');
    return {
      executionId,
      agentId,
      createdAt: at,
      ...(journalId ? { journalId } : {}),
      ...(limits === '[]' ? {} : { limits: readLimits(limits) }),
      ...(outcome === undefined ? {} : { conclusion: readConclusion(outcome, end ?? '', handled === '1') }),
    };
  });
}

export function readLimits(text: string): string[] {
  const limits: unknown = JSON.parse(text);
  if (!Array.isArray(limits)) throw new Error('limits are no list');
  return limits.map(String);
}

export function readConclusion(outcome: string, end: string, isHandled: boolean): Conclusion {
  return {
    outcome: Object.freeze(outcomeSchema.parse(JSON.parse(outcome))),
    end: cursorSchema.parse(JSON.parse(end)),
    isHandled,
  };
}

/** @throws `unreadable_record` for whatever cannot be read */
export function reading<T>(executionId: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const message = `what the store has of execution ${executionId} is no record`;
    throw sdkError('unreadable_record', message, { data: { executionId }, cause: error });
  }
}
