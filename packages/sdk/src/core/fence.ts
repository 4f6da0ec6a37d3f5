import { type Cursor, type Log } from '@outrigger/protocol';

/**
 * Whether everything up to `end` has been read, in both logs. `end` names the last attempt that printed anything, so
 * there is a frame of it to tell that the attempts before it are complete.
 */
export function hasReached(position: Cursor, end: Cursor): boolean {
  if (position.attempt !== end.attempt) return position.attempt > end.attempt;
  return position.stdout >= end.stdout && position.stderr >= end.stderr;
}

/** Whether output that ends at `offset` lies behind the fence the verdict has set. */
export function isBehindFence(place: { attempt: number; log: Log; offset: number }, end: Cursor): boolean {
  if (place.attempt !== end.attempt) return place.attempt > end.attempt;
  return place.offset > end[place.log];
}
