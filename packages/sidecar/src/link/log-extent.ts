import { type Log } from '../process/log.js';

/**
 * How far a log was ever seen to reach. A run can cut its own log, and what it prints then takes offsets that were
 * used before; nothing below the old end is delivered from then on. A log that is cut and has grown beyond its old end
 * between two looks cannot be told from one that was only written to.
 */
interface Extent {
  seenBytes: number;
  cutBytes: number;
}

/** By log and not by reader, so that a cursor from before the cut is good on every connection. */
const extents = new WeakMap<Log, Extent>();

/** The most bytes the log was ever seen to hold. */
export function seenBytes(log: Log): number {
  return lookAt(log).seenBytes;
}

/** How much the log held when it was last cut, 0 if it never was: what lies before cannot be relied upon. */
export function cutBytes(log: Log): number {
  return lookAt(log).cutBytes;
}

/** A read got as far as `toBytes`; `isShort`: the log holds less than it did, which a size that is fixed does not tell. */
export function noteRead(log: Log, toBytes: number, isShort: boolean): void {
  const extent = extentOf(log);
  extent.seenBytes = Math.max(extent.seenBytes, toBytes);
  if (isShort) extent.cutBytes = lookAt(log).seenBytes;
}

function lookAt(log: Log): Extent {
  const extent = extentOf(log);
  const size = log.size();
  if (size < extent.seenBytes) extent.cutBytes = extent.seenBytes;
  extent.seenBytes = Math.max(extent.seenBytes, size);
  return extent;
}

function extentOf(log: Log): Extent {
  const extent = extents.get(log) ?? { seenBytes: 0, cutBytes: 0 };
  extents.set(log, extent);
  return extent;
}
