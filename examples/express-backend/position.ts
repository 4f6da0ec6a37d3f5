import { type HoldEvent, OutriggerError, type ReleasedEvent, type StateEvent } from '@outrigger/sdk';

/**
 * How much of a task a client was told: how many texts, and the last step in its life. It is the same for every process of
 * the backend, since texts are what the log of the task gives, and steps have an order of their own.
 */
export interface Position {
  readonly texts: number;
  readonly step: Step;
}

/** Numbers that sort steps in the order of a task's life: phase, attempt, phase of the attempt, time, rank. */
type Step = readonly [number, number, number, number, number];

export type StepEvent = StateEvent | HoldEvent | ReleasedEvent;

export const START: Position = { texts: 0, step: [0, 0, 0, 0, 0] };

/** The id of the outcome's event. */
export const END = 'end';

/** A client's `Last-Event-ID`. @throws `invalid` */
export function readPosition(lastEventId: string | undefined): Position | typeof END {
  if (lastEventId === undefined || lastEventId === '') return START;
  if (lastEventId === END) return END;
  if (!/^\d{1,16}(-\d{1,16}){5}$/.test(lastEventId))
    throw new OutriggerError('invalid', 'Last-Event-ID: is not of here');
  const [texts = 0, ...step] = lastEventId.split('-').map(Number);
  return { texts, step: step as unknown as Step };
}

export function writePosition({ texts, step }: Position): string {
  return [texts, ...step].join('-');
}

/** Whether a step comes after another one. */
export function isAfter(step: Step, other: Step): boolean {
  const n = step.findIndex((number, index) => number !== other[index]);
  return n !== -1 && (step[n] ?? 0) > (other[n] ?? 0);
}

const PHASE = { queued: 1, starting: 2, running: 3 };

/** Gives steps, which have to come in their order, their numbers. */
export class StepOrder {
  #attempt = 0;

  of(event: StepEvent): Step {
    const { attempt, at } = event;
    const isOfNewAttempt = attempt > this.#attempt;
    this.#attempt = attempt;
    switch (event.type) {
      case 'hold':
        return [0, attempt, PHASE.running, at, 1 + (event.generation ?? 0)];
      case 'released':
        // By the next attempt, which then starts; or in the middle of this one, which goes on.
        return isOfNewAttempt ? [0, attempt, 0, at, 0] : [0, attempt, PHASE.running, at, Number.MAX_SAFE_INTEGER];
      case 'state':
        if (event.state === 'ending') return [1, 0, 0, 0, 0];
        if (event.state === 'ended') return [2, 0, 0, 0, 0];
        return [0, attempt, PHASE[event.state], at, 0];
    }
  }
}
